package trap

import "golang.org/x/sys/unix"

// transport is where packets of a kind have the number of the question.
type transport struct {
	proto  byte // 0: any
	bytes  []value
	number span
}

// value is what a byte of the transport header, or behind it, must be.
type value struct {
	at uint32
	is byte
}

// transports are all kinds of packets of a family, those that are looked for first come first. The ports begin with the
// asker's at that place.
func (f family) transports(port uint32) []transport {
	const (
		quoted     = 8 // where an ICMP error has the header of the question
		identifier = 4 // where an echo has its number
	)
	behind := uint32(quoted) + f.header
	refused := value{0, f.refused}
	return []transport{
		{f.icmp, []value{refused, {quoted + f.protocol, f.icmp}}, span{behind + identifier, 2}},
		{f.icmp, []value{refused}, span{behind, 2}},
		{f.icmp, nil, span{identifier, 2}},
		{0, nil, span{port, 2}},
	}
}

func (t transport) selects() (rule [][]byte) {
	if t.proto != 0 {
		rule = append(rule, meta(unix.NFT_META_L4PROTO, 0), is(0, []byte{t.proto}))
	}
	for _, v := range t.bytes {
		rule = append(rule, field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, span{v.at, 1}, 0), is(0, []byte{v.is}))
	}
	return rule
}
