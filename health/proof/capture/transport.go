package capture

import "golang.org/x/sys/unix"

// transportMatch selects packets by transport protocol and has the position of the peer's port in them.
type transportMatch struct {
	proto byte // 0: any
	bytes []byteValue
	port  byteRange // empty: the packet is not observed
}

// byteValue is the required value of a byte, counted from the transport header.
type byteValue struct {
	offset uint32
	value  byte
}

// The flags of a TCP header, and those of the RST that takes back a SYN (RFC 9293).
const (
	offsetFlags = 13
	flagRST     = 0x04
)

// transports returns the kinds of a family's packets, in the order in which they are tried. port is the offset of the peer's port
// in a TCP or UDP header. The RST that takes back a request is not observed: when conntrack has already removed the
// connection, the RST would seem to be a request without a mark.
func (f captureFamily) transports(port uint32, isRequest bool) []transportMatch {
	const (
		quoted     = 8 // offset of the request's IP header in an ICMP error
		identifier = 4 // offset of the identifier in an echo
	)
	echo, other := transportMatch{f.icmp, nil, byteRange{identifier, 2}}, transportMatch{0, nil, byteRange{port, 2}}
	if isRequest {
		return []transportMatch{{unix.IPPROTO_TCP, []byteValue{{offsetFlags, flagRST}}, byteRange{}}, echo, other}
	}
	inner := uint32(quoted) + f.headerLen
	refused := byteValue{0, f.unreachable}
	return []transportMatch{
		{f.icmp, []byteValue{refused, {quoted + f.protocolOffset, f.icmp}}, byteRange{inner + identifier, 2}},
		{f.icmp, []byteValue{refused}, byteRange{inner, 2}},
		echo, other,
	}
}

func (t transportMatch) match() (rule [][]byte) {
	if t.proto != 0 {
		rule = append(rule, meta(unix.NFT_META_L4PROTO, 0), equals(0, []byte{t.proto}))
	}
	for _, v := range t.bytes {
		rule = append(rule, field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, byteRange{v.offset, 1}, 0), equals(0, []byte{v.value}))
	}
	return rule
}
