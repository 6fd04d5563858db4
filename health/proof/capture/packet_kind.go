package capture

import (
	"encoding/binary"
	"slices"

	"replypath/health/proof"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// packetKind selects one kind of packets of a proof by what a stranger cannot know, and says where their ports are.
type packetKind struct {
	proto byte // that of the transport header
	about byte // recorded as proof.Observation.Proto; differs from proto for an ICMP error
	match []condition
	ports uint32 // the offset of both ports, or of the identifier of an echo
	// peerLast reports that the peer's port is the second one.
	peerLast bool
}

// condition is a range of values of a field of the transport header. It includes both bounds.
type condition struct {
	offset      uint32
	first, last []byte
}

// equal returns the condition that a field has the value.
func equal(offset uint32, value ...byte) condition { return condition{offset, value, value} }

// The offsets in the headers of TCP (RFC 9293) and of ICMP (RFC 792).
const (
	offsetSequence        = 4
	offsetAcknowledgement = 8
	offsetIdentifier      = 4
	offsetEchoData        = 8
	offsetQuoted          = 8 // of the header of the packet that an ICMP error is about
	lengthUDP             = 8
)

// requestKinds returns the kinds of a proof's requests in the family. The RST that takes back a request is none of them: when
// conntrack has already removed the connection, the RST would seem to be a request without a mark.
func (f Filter) requestKinds(c captureFamily) []packetKind {
	sequence := binary.BigEndian.AppendUint32(nil, f.Secret.Sequence())
	kinds := []packetKind{
		{proto: unix.IPPROTO_TCP, about: unix.IPPROTO_TCP, match: []condition{equal(offsetSequence, sequence...)}},
		{proto: c.icmp, about: c.icmp, match: []condition{equal(0, c.echoRequest), equal(offsetEchoData, f.Secret[:]...)}, ports: offsetIdentifier},
	}
	for _, at := range f.secretOffsets() {
		kinds = append(kinds, packetKind{proto: unix.IPPROTO_UDP, about: unix.IPPROTO_UDP, match: []condition{equal(lengthUDP+at, f.Secret[:]...)}})
	}
	return kinds
}

// secretOffsets returns where the secret is in the datagrams of the requests.
func (f Filter) secretOffsets() (all []uint32) {
	for _, port := range f.DatagramPorts {
		all = append(all, proof.SecretOffset(port))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// replyKinds returns the kinds of replies to the requests in the family. A server need not repeat the secret of a datagram:
// replies by UDP are those to the ports of the peers.
func (f Filter) replyKinds(c captureFamily) []packetKind {
	sequence := binary.BigEndian.AppendUint32(nil, f.Secret.Sequence())
	acknowledged := binary.BigEndian.AppendUint32(nil, f.Secret.Sequence()+1)
	toPeer := func(offset uint32) condition {
		return condition{offset, binary.BigEndian.AppendUint16(nil, f.FirstPort), binary.BigEndian.AppendUint16(nil, f.LastPort)}
	}
	inner := offsetQuoted + c.headerLen
	refused := func(proto byte, ports uint32, about condition) packetKind {
		return packetKind{proto: c.icmp, about: proto, ports: inner + ports,
			match: []condition{equal(0, c.unreachable), equal(offsetQuoted+c.protocolOffset, proto), about}}
	}
	return []packetKind{
		{proto: unix.IPPROTO_TCP, about: unix.IPPROTO_TCP, match: []condition{equal(offsetAcknowledgement, acknowledged...)}, peerLast: true},
		{proto: c.icmp, about: c.icmp, match: []condition{equal(0, c.echoReply), equal(offsetEchoData, f.Secret[:]...)}, ports: offsetIdentifier},
		{proto: unix.IPPROTO_UDP, about: unix.IPPROTO_UDP, match: []condition{toPeer(2)}, peerLast: true},
		refused(unix.IPPROTO_TCP, 0, equal(inner+offsetSequence, sequence...)),
		refused(unix.IPPROTO_UDP, 0, toPeer(inner)),
		refused(c.icmp, offsetIdentifier, equal(inner+offsetEchoData, f.Secret[:]...)),
	}
}

// expressions returns the matches of a rule for the kind.
func (k packetKind) expressions() [][]byte {
	rule := [][]byte{nftnl.Meta(unix.NFT_META_L4PROTO, 0), nftnl.Equals(0, []byte{k.proto})}
	for _, c := range k.match {
		rule = append(rule, field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, byteRange{c.offset, uint32(len(c.first))}, 0))
		if slices.Equal(c.first, c.last) {
			rule = append(rule, nftnl.Equals(0, c.first))
		} else {
			rule = append(rule, nftnl.Compare(0, unix.NFT_CMP_GTE, c.first), nftnl.Compare(0, unix.NFT_CMP_LTE, c.last))
		}
	}
	return rule
}

// The bits of the first word of an observation: its hook, its protocol, and whether the peer's port is the second one.
const (
	shiftProto  = 8
	bitPeerLast = 1 << 16
)

// word returns the first word of an observation of the kind.
func (k packetKind) word(hook proof.Hook) uint32 {
	w := uint32(hook) | uint32(k.about)<<shiftProto
	if k.peerLast {
		w |= bitPeerLast
	}
	return w
}
