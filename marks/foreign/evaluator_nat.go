package foreign

import (
	"encoding/binary"
	"net/netip"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// loadProtocol evaluates an expression that loads the protocol of the transport layer into a register.
func (e *evaluator) loadProtocol(data []byte) bool {
	if netfilter.FindUint32(data, unix.NFTA_META_KEY) != unix.NFT_META_L4PROTO {
		return false
	}
	e.registers[registerOf(data, unix.NFTA_META_DREG)] = registerValue{proto: true}
	return true
}

// matchProtocol records the protocol that the rule is limited to, if it compares with a single one.
func (e *evaluator) matchProtocol(data []byte) {
	v := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	if e.registers[registerOf(data, unix.NFTA_CMP_SREG)].proto && netfilter.FindUint32(data, unix.NFTA_CMP_OP) == unix.NFT_CMP_EQ && len(v) == 1 {
		e.proto = v[0]
	}
}

// evalNAT evaluates a translation of addresses.
func (e *evaluator) evalNAT(data []byte) {
	if netfilter.FindUint32(data, unix.NFTA_NAT_TYPE) != unix.NFT_NAT_DNAT || netfilter.FindUint32(data, unix.NFTA_NAT_FAMILY) != unix.NFPROTO_IPV4 {
		return
	}
	to, known := e.registers[registerOf(data, unix.NFTA_NAT_REG_ADDR_MIN)]
	address := netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, to.value)))
	if known && to.source == "" && address.IsLoopback() && e.proto != unix.IPPROTO_TCP {
		e.rule.LoopbackDNAT = true
		e.addTerm("dnat to %s", address)
	}
}
