package world

import (
	"bytes"
	"fmt"
	"net/netip"
)

// hello is the first line of every service: its host, and the two ends of the exchange as it sees them.
type hello struct {
	host        string
	local, peer netip.AddrPort
}

func (h hello) String() string { return fmt.Sprintf("%s %s %s\n", h.host, h.local, h.peer) }

// parseHello reads a hello from the start of an answer.
func parseHello(reply []byte) (h hello, err error) {
	line, _, found := bytes.Cut(reply, []byte("\n"))
	fields := bytes.Fields(line)
	if !found || len(fields) != 3 {
		return h, fmt.Errorf("answer does not say who speaks: %.80q", reply)
	}
	h.host = string(fields[0])
	if err := h.local.UnmarshalText(fields[1]); err != nil {
		return h, err
	}
	return h, h.peer.UnmarshalText(fields[2])
}

// tokenLength is the length of a request's token, which comes back in the answer.
const tokenLength = 8

// reply returns the answer to a datagram: its token, the hello, and as much more as makes it as long as the request.
func (h hello) reply(request []byte) []byte {
	reply := append([]byte(nil), request[:min(tokenLength, len(request))]...)
	reply = append(reply, h.String()...)
	if short := len(request) - len(reply); short > 0 {
		reply = append(reply, make([]byte, short)...)
	}
	return reply
}
