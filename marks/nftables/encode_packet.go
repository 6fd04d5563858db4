package nftables

import (
	"encoding/binary"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// The bits of a connection's state, and of its status if its destination is translated (enum ip_conntrack_info,
// IPS_DST_NAT).
const (
	stateRelated   = 1 << 2
	stateNew       = 1 << 3
	destinationNAT = 1 << 5
)

var states = map[string]uint32{"NEW": stateNew, "RELATED": stateRelated}

// encodeState returns the comparison of the state of a packet's connection.
func encodeState(m marks.PacketMatch) [][]byte {
	not := nftnl.CompareMark(0, unix.NFT_CMP_NEQ, 0)
	switch {
	case m.State == "":
		return nil
	case m.State == "DNAT":
		return [][]byte{nftnl.Ct(unix.NFT_CT_STATUS, 0), nftnl.MaskMark(0, destinationNAT, 0), not}
	case m.NotState:
		return [][]byte{nftnl.Ct(unix.NFT_CT_STATE, 0), nftnl.CompareMark(0, unix.NFT_CMP_NEQ, states[m.State])}
	}
	return [][]byte{nftnl.Ct(unix.NFT_CT_STATE, 0), nftnl.MaskMark(0, states[m.State], 0), not}
}

// transports has the numbers of transport protocols.
var transports = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "icmp": unix.IPPROTO_ICMP, "ipv6-icmp": unix.IPPROTO_ICMPV6}

// Offsets in headers: the port in that of TCP and UDP, the addresses in that of IP.
const (
	destinationPort                         = 2
	sourceIPv4, destinationIPv4, lengthIPv4 = 12, 16, 4
	sourceIPv6, destinationIPv6, lengthIPv6 = 8, 24, 16
)

// addressField returns where an address is in the header of IP.
func addressField(ipv6, destination bool) (offset, length uint32) {
	switch {
	case ipv6 && destination:
		return destinationIPv6, lengthIPv6
	case ipv6:
		return sourceIPv6, lengthIPv6
	case destination:
		return destinationIPv4, lengthIPv4
	}
	return sourceIPv4, lengthIPv4
}

// encodePacket returns the comparisons of a packet's headers. That of the family is there for nft(8), which then lists the
// others as fields.
func encodePacket(m marks.PacketMatch, ipv6 bool) (all [][]byte) {
	if m.Src.IsValid() || m.Dst.IsValid() {
		all = append(all, nftnl.Meta(unix.NFT_META_NFPROTO, 0), nftnl.Equals(0, []byte{nftnl.FamilyNumber(ipv6)}))
	}
	if m.Src.IsValid() {
		offset, length := addressField(ipv6, false)
		all = append(append(all, nftnl.Field(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, length, 0)), encodeNetwork(m.Src)...)
	}
	if m.Dst.IsValid() {
		offset, length := addressField(ipv6, true)
		all = append(append(all, nftnl.Field(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, length, 0)), encodeNetwork(m.Dst)...)
	}
	if m.Proto != "" {
		all = append(all, nftnl.Meta(unix.NFT_META_L4PROTO, 0), nftnl.Equals(0, []byte{transports[m.Proto]}))
	}
	for _, r := range m.Ports.Values() { // marks.Rule.CheckNFT: one
		all = append(append(all, nftnl.Field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, destinationPort, 2, 0)), encodePorts(r)...)
	}
	return append(append(all, encodeAddrType(m.SrcType, nftnl.FibSource)...), encodeAddrType(m.DstType, nftnl.FibDestination)...)
}

func encodePorts(r marks.PortRange) [][]byte {
	first, last := binary.BigEndian.AppendUint16(nil, r.First), binary.BigEndian.AppendUint16(nil, r.Last)
	if r.First == r.Last {
		return [][]byte{nftnl.Equals(0, first)}
	}
	return [][]byte{nftnl.Compare(0, unix.NFT_CMP_GTE, first), nftnl.Compare(0, unix.NFT_CMP_LTE, last)}
}

// addressTypes has the types of addresses.
var addressTypes = map[string]uint32{"LOCAL": unix.RTN_LOCAL, "MULTICAST": unix.RTN_MULTICAST, "BROADCAST": unix.RTN_BROADCAST}

func encodeAddrType(t marks.AddrType, address uint32) [][]byte {
	if t == (marks.AddrType{}) {
		return nil
	}
	operation := uint32(unix.NFT_CMP_EQ)
	if t.Not {
		operation = unix.NFT_CMP_NEQ
	}
	return [][]byte{nftnl.FibType(address, 0), nftnl.CompareMark(0, operation, addressTypes[t.Type])}
}

// encodeCluster returns the comparison of the hash of the address from which a connection's first packet was sent.
func encodeCluster(c marks.Cluster, ipv6 bool) [][]byte {
	_, length := addressField(ipv6, false)
	return [][]byte{nftnl.CtOf(directionOriginal, originalSource(ipv6), 0), nftnl.Hash(0, length, c.Total, c.Seed),
		nftnl.CompareMark(0, unix.NFT_CMP_EQ, c.Node)}
}

// encodeTProxy returns the expressions that give a packet to a socket. A packet for which there is none does not match the
// rule.
func encodeTProxy(a marks.Action, ipv6 bool) [][]byte {
	port := nftnl.LoadBytes(0, binary.BigEndian.AppendUint16(nil, a.Proxy.Port()))
	if a.Proxy.Addr().IsUnspecified() {
		return [][]byte{port, nftnl.TProxy(nftnl.FamilyNumber(ipv6), 0, -1)}
	}
	return [][]byte{port, nftnl.LoadBytes(4, a.Proxy.Addr().AsSlice()), nftnl.TProxy(nftnl.FamilyNumber(ipv6), 0, 4)}
}
