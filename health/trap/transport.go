package trap

import "golang.org/x/sys/unix"

// transport is where packets of a kind have the number of the question.
type transport struct {
	proto  byte // 0: any
	bytes  []value
	number span // empty: nothing is noted
}

// value is what a byte of the transport header, or behind it, must be.
type value struct {
	at uint32
	is byte
}

// The flags of a TCP header, and those of a RST that belongs to no answer (RFC 9293).
const (
	atFlags = 13
	flagRST = 0x04
)

// transports are all kinds of packets of a family, those that are looked for first come first. The ports begin with the
// asker's at that place. A RST that takes a question back is not noted: connection tracking may have forgotten what it
// belongs to, so that it seems to have got no mark.
func (f family) transports(port uint32, question bool) []transport {
	const (
		quoted     = 8 // where an ICMP error has the header of the question
		identifier = 4 // where an echo has its number
	)
	echo, other := transport{f.icmp, nil, span{identifier, 2}}, transport{0, nil, span{port, 2}}
	if question {
		return []transport{{unix.IPPROTO_TCP, []value{{atFlags, flagRST}}, span{}}, echo, other}
	}
	behind := uint32(quoted) + f.header
	refused := value{0, f.refused}
	return []transport{
		{f.icmp, []value{refused, {quoted + f.protocol, f.icmp}}, span{behind + identifier, 2}},
		{f.icmp, []value{refused}, span{behind, 2}},
		echo, other,
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
