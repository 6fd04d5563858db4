package netfilter

import (
	"bytes"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// The source address in struct ip6t_ip6 and its mask, two struct in6_addr.
const (
	sourceIPv6     = 0
	sourceMaskIPv6 = 32
	sizeIPv6       = 16
)

// sourceBit returns the bit of the IPv6 source that an entry compares, which is also its mask; 0: it compares none, or more.
func (d *legacyDecoder) sourceBit(entry []byte) uint8 {
	source, mask := entry[sourceIPv6:][:sizeIPv6], entry[sourceMaskIPv6:][:sizeIPv6]
	if !d.ipv6 || !bytes.Equal(source, mask) {
		return 0
	}
	return marks.SourceBitOf([sizeIPv6]byte(mask))
}

// isSource reports whether a byte of an IPv6 entry belongs to the source or its mask.
func isSource(at int) bool {
	return at >= sourceIPv6 && at < sourceIPv6+sizeIPv6 || at >= sourceMaskIPv6 && at < sourceMaskIPv6+sizeIPv6
}

// sourceOffset is the offset of the source in the header of an IPv6 packet.
const sourceOffset = 8

// sourceField is the source address of an IPv6 packet.
var sourceField = source{"payload", sourceOffset}

// loadSource decodes the expression payload that loads the source of an IPv6 packet.
func (n *nftDecoder) loadSource(data []byte) bool {
	r := register{number: FindUint32(data, unix.NFTA_PAYLOAD_DREG), source: sourceField}
	if n.register != (register{}) || r.number == 0 || !n.ipv6 || n.rule.Packet.SrcBit != 0 || FindUint32(data, unix.NFTA_PAYLOAD_BASE) != unix.NFT_PAYLOAD_NETWORK_HEADER ||
		FindUint32(data, unix.NFTA_PAYLOAD_OFFSET) != sourceOffset || FindUint32(data, unix.NFTA_PAYLOAD_LEN) != sizeIPv6 {
		return false
	}
	n.register = r
	return true
}

// maskSource decodes an expression bitwise that masks the source.
func (r *register) maskSource(data []byte) bool {
	mask := nlattr.Find(nlattr.Find(data, unix.NFTA_BITWISE_MASK), unix.NFTA_DATA_VALUE)
	xor := nlattr.Find(nlattr.Find(data, unix.NFTA_BITWISE_XOR), unix.NFTA_DATA_VALUE)
	if r.bit != 0 || len(mask) != sizeIPv6 || len(xor) != sizeIPv6 || !zero(xor) || FindUint32(data, unix.NFTA_BITWISE_SREG) != r.number ||
		FindUint32(data, unix.NFTA_BITWISE_DREG) != r.number || FindUint32(data, bitwiseOp) != 0 {
		return false
	}
	r.bit = marks.SourceBitOf([sizeIPv6]byte(mask))
	return r.bit != 0
}

// compareSource returns the bit of the source that cmp wants to be set.
func (r register) compareSource(data []byte) (bit uint8, ok bool) {
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	return r.bit, r.bit != 0 && len(value) == sizeIPv6 && marks.SourceBitOf([sizeIPv6]byte(value)) == r.bit
}
