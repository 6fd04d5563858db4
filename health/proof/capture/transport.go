package capture

import "golang.org/x/sys/unix"

// transportMatch is where packets of a kind have the number of the question.
type transportMatch struct {
	proto byte // 0: any
	bytes []byteValue
	port  byteRange // empty: nothing is noted
}

// byteValue is what a byte of the transport header, or behind it, must be.
type byteValue struct {
	offset uint32
	value  byte
}

// The flags of a TCP header, and those of a RST that belongs to no answer (RFC 9293).
const (
	offsetFlags = 13
	flagRST     = 0x04
)

// transports are all kinds of packets of a family, those that are looked for first come first. The ports begin with the
// asker's at that place. A RST that takes a question back is not noted: connection tracking may have forgotten what it
// belongs to, so that it seems to have got no mark.
func (f captureFamily) transports(port uint32, isRequest bool) []transportMatch {
	const (
		quoted     = 8 // where an ICMP error has the header of the question
		identifier = 4 // where an echo has its number
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
