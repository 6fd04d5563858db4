package netfilter

import (
	"encoding/binary"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// icmpOf has the number of each family's ICMP, and its name: no rule of the chains of marks compares another protocol.
var icmpOf = map[bool]struct {
	number byte
	name   string
}{false: {unix.IPPROTO_ICMP, "icmp"}, true: {unix.IPPROTO_ICMPV6, "ipv6-icmp"}}

// protocol returns the protocol that an entry compares if it is the family's ICMP; "": none, or another one. Without its flag (IP6T_F_PROTO)
// an entry of IPv6 compares none.
func (d *legacyDecoder) protocol(entry []byte) string {
	icmp := icmpOf[d.ipv6]
	if binary.NativeEndian.Uint16(entry[d.proto:]) != uint16(icmp.number) || entry[d.flags]&d.protoFlag != d.protoFlag {
		return ""
	}
	return icmp.name
}

// l4proto is the protocol of a packet, and protocolField the field of the header of IPv4 that has it. Which of both iptables loads depends
// on its version.
var (
	l4proto       = source{"meta", unix.NFT_META_L4PROTO}
	protocolField = source{"payload", protocolOffset}
)

// protocolOffset is the offset of the protocol in the header of an IPv4 packet.
const protocolOffset = 9

// loadProtocol decodes the expression payload that loads the protocol of an IPv4 packet.
func (n *nftDecoder) loadProtocol(data []byte) bool {
	r := register{number: FindUint32(data, unix.NFTA_PAYLOAD_DREG), source: protocolField}
	if n.register != (register{}) || r.number == 0 || n.ipv6 || n.rule.Packet.Proto != "" || FindUint32(data, unix.NFTA_PAYLOAD_BASE) != unix.NFT_PAYLOAD_NETWORK_HEADER ||
		FindUint32(data, unix.NFTA_PAYLOAD_OFFSET) != protocolOffset || FindUint32(data, unix.NFTA_PAYLOAD_LEN) != 1 {
		return false
	}
	n.register = r
	return true
}

// compareProtocol returns the protocol that cmp compares with, which must be the family's ICMP.
func (n *nftDecoder) compareProtocol(data []byte) (name string, ok bool) {
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	icmp := icmpOf[n.ipv6]
	if len(value) != 1 || value[0] != icmp.number {
		return "", false
	}
	return icmp.name, true
}

// isCompatible reports whether a rule has the protocol that the extensions of xtables were given: they see no other packets.
func (n *nftDecoder) isCompatible(compat []byte) bool {
	given := FindUint32(compat, unix.NFTA_RULE_COMPAT_PROTO)
	return given == 0 || n.rule.Packet.Proto != "" && given == uint32(icmpOf[n.ipv6].number) && FindUint32(compat, unix.NFTA_RULE_COMPAT_FLAGS) == 0
}
