package nftnl

import "golang.org/x/sys/unix"

// The addresses of FibType (enum nft_fib_flags).
const (
	FibSource      = 1
	FibDestination = 2
)

// FibType loads the type that the routing tables have for an address of the packet (RTN_LOCAL) into a register.
func FibType(address uint32, to int) []byte {
	return expression("fib", Uint32Attribute(unix.NFTA_FIB_DREG, register(to)), Uint32Attribute(unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_ADDRTYPE),
		Uint32Attribute(unix.NFTA_FIB_FLAGS, address))
}

// Hash replaces the bytes in the registers from word on by their hash (Jenkins) modulo a number, in one register.
func Hash(word int, length, modulus, seed uint32) []byte {
	return expression("hash", Uint32Attribute(unix.NFTA_HASH_SREG, register(word)), Uint32Attribute(unix.NFTA_HASH_DREG, register(word)),
		Uint32Attribute(unix.NFTA_HASH_LEN, length), Uint32Attribute(unix.NFTA_HASH_MODULUS, modulus), Uint32Attribute(unix.NFTA_HASH_SEED, seed),
		Uint32Attribute(unix.NFTA_HASH_TYPE, unix.NFT_HASH_JENKINS))
}

// The attributes of tproxy (linux/netfilter/nf_tables.h, enum nft_tproxy_attributes).
const (
	TProxyFamily  = 1
	TProxyAddress = 2 // a register
	TProxyPort    = 3 // a register
)

// TProxy gives the packet to the local socket with the port in a register, and the address in another one, or any address if
// that is negative. A packet for which there is no transparent socket does not match the rule. family is NFPROTO_*.
func TProxy(family byte, port, address int) []byte {
	attributes := [][]byte{Uint32Attribute(TProxyFamily, uint32(family)), Uint32Attribute(TProxyPort, register(port))}
	if address >= 0 {
		attributes = append(attributes, Uint32Attribute(TProxyAddress, register(address)))
	}
	return expression("tproxy", attributes...)
}

// Masquerade translates the source to the primary address of the egress link.
func Masquerade() []byte { return expression("masq") }
