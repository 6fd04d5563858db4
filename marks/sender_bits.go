package marks

import (
	"math/bits"
	"net/netip"
	"strings"
)

// The match cluster hashes the first 32 bits of an IPv6 address only (net/netfilter/xt_cluster.c), which all hosts of a network
// share. Where iptables is the backend, the bucket of an IPv6 sender is a CRC of bits of its address instead: each bit that is set
// changes the bucket by exclusive or.

// The bits of a sender's address that count, from the last one: of the interface identifier, and of the number of the network
// in what a provider delegates.
const (
	hashedHostBits    = 32
	firstNetworkBit   = 64
	hashedNetworkBits = 16
)

// crcPolynomial is x^4 + x + 1, for 16 buckets.
const crcPolynomial = 0x13

// HashBuckets is the number of buckets of the hash by bits.
const HashBuckets = 16

// senderBitRules returns the rules that mark a packet with the bucket of its IPv6 sender. The buckets are 16 marks in a row whose
// first has zeros where they differ.
func (o Outbound) senderBitRules() []Rule {
	rules := []Rule{{Action: Action{Kind: SetMark, Mark: o.Buckets[0], Mask: o.Mask}}}
	remainder := 1
	for bit := range firstNetworkBit + hashedNetworkBits {
		if bit < hashedHostBits || bit >= firstNetworkBit {
			rules = append(rules, Rule{Packet: PacketMatch{SrcBit: uint8(bit + 1)}, Action: Action{Kind: SetMark, Mark: o.Buckets[remainder] ^ o.Buckets[0]}})
			if remainder <<= 1; remainder >= HashBuckets {
				remainder ^= crcPolynomial
			}
		}
	}
	return rules
}

// SourceBitOf returns the value of PacketMatch.SrcBit for a mask with one bit of an IPv6 address; 0: it is not one.
func SourceBitOf(mask [16]byte) (bit uint8) {
	for i, b := range mask {
		switch {
		case b == 0:
		case bit != 0 || bits.OnesCount8(b) != 1:
			return 0
		default:
			bit = uint8(8*(len(mask)-1-i) + bits.TrailingZeros8(b) + 1)
		}
	}
	return bit
}

// sourceBitText returns the argument of -s for a SrcBit.
func sourceBitText(bit uint8) string {
	var a [16]byte
	a[len(a)-1-int(bit-1)/8] = 1 << ((bit - 1) % 8)
	text := netip.AddrFrom16(a).String()
	return text + "/" + text
}

// parseSourceBit parses what sourceBitText has written, and returns 0 for anything else.
func parseSourceBit(text string) uint8 {
	value, mask, _ := strings.Cut(text, "/")
	a, err := netip.ParseAddr(mask)
	if err != nil || !a.Is6() || a.Zone() != "" || value != mask {
		return 0
	}
	return SourceBitOf(a.As16())
}
