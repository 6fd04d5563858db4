package proof

import (
	"net/netip"
	"time"
)

// How long to wait for a reply: the kernel replies at once, unless it distributes packets over processors (RPS). For a LAN host
// that does not respond the kernel sends an ICMP error after three seconds (net.ipv4.neigh.*.mcast_solicit and retrans_time),
// which must be captured too.
const (
	timeoutKernel    = 60 * time.Millisecond
	timeoutServer    = 500 * time.Millisecond
	timeoutFound     = 250 * time.Millisecond
	timeoutForwarded = 3500 * time.Millisecond
	timeoutOwnServer = 5 * time.Second // for the prover's own servers, on a busy machine
)

// OwnReplies are the replies of the prover's own servers that had been sent before the observations were read.
type OwnReplies struct {
	Unanswered map[netip.AddrPort]bool // the destinations of the servers that have not replied yet
	// Proxied has the peers to which the server has replied that stands in for transparent proxies; nil: there is no such server.
	Proxied map[netip.AddrPort]bool
	// Blocked has the peers whose requests an IPsec policy drops behind the hook at which their arrival is observed.
	Blocked map[netip.AddrPort]bool
}

// pending reports whether a server of the prover has still to reply to the request.
func (o OwnReplies) pending(r Request, t trace) bool {
	switch {
	case !t.reached(InputEnd) || o.Blocked[r.From]:
		return false
	case r.Proto == "udp" && t.proxied(r) && o.Proxied != nil:
		return !o.Proxied[r.From]
	}
	return o.Unanswered[r.To]
}

// ReplyTimeout returns how long to wait for replies after the last request was injected; 0: no more are to be expected.
func ReplyTimeout(requests []Request, traces Traces, own OwnReplies) (longest time.Duration) {
	for _, r := range requests {
		t := traces.of(r)
		if own.pending(r, t) {
			return timeoutOwnServer
		}
		longest = max(longest, r.replyTimeout(t))
	}
	return longest
}

func (r Request) replyTimeout(t trace) time.Duration {
	switch {
	case len(t.egress) > 0 || t.reached(RequestEgress):
		return 0
	case t.reached(ForwardEnd) && (r.Found || r.Kind == Inside): // its host is resolved
		return timeoutFound
	case t.reached(ForwardEnd):
		return timeoutForwarded
	case t.reached(InputEnd) && r.Kind == Service:
		return timeoutServer
	case t.reached(InputEnd), !t.reached(PreroutingStart):
		return timeoutKernel
	}
	return 0
}
