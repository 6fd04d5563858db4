package proof

import (
	"net/netip"
	"testing"
)

func TestRequestsThatAPolicyBlocksAreNotAwaited(t *testing.T) {
	r := Request{Proto: "udp", Kind: Datagram, From: netip.MustParseAddrPort("203.0.113.7:40000"), To: netip.MustParseAddrPort("192.0.2.2:5353")}
	arrived := Observations{Hooks: []Observation{{Hook: PreroutingStart, Proto: protocolUDP, Peer: r.From.Addr(), Port: r.From.Port(), Host: r.To},
		{Hook: InputEnd, Proto: protocolUDP, Peer: r.From.Addr(), Port: r.From.Port(), Host: r.To}}}
	own := OwnReplies{Unanswered: map[netip.AddrPort]bool{r.To: true}}
	if got := ReplyTimeout([]Request{r}, arrived.Traces(), own); got != timeoutOwnServer {
		t.Errorf("a datagram that has arrived is awaited for %s, want %s", got, timeoutOwnServer)
	}
	own.Blocked = map[netip.AddrPort]bool{r.From: true}
	if got := ReplyTimeout([]Request{r}, arrived.Traces(), own); got != timeoutKernel {
		t.Errorf("a datagram that an IPsec policy drops is awaited for %s, want %s", got, timeoutKernel)
	}
}
