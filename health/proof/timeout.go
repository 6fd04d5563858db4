package proof

import (
	"net/netip"
	"time"
)

// How long an answer is waited for: the kernel gives its own at once, unless it spreads packets over processors; a
// server needs its time; and for a host inside that does not answer the kernel itself says so after three seconds, in
// which the trap must stand.
const (
	timeoutKernel    = 60 * time.Millisecond
	timeoutServer    = 500 * time.Millisecond
	timeoutForwarded = 3500 * time.Millisecond
	timeoutOwnServer = 5 * time.Second // a server of our own, on a machine that is busy
)

// ReplyTimeout is how long the questions' answers should be waited for, counted from when the last of them was put; 0: all
// are answered, or will not be. Owing are askers whom a server of our own had not answered yet before the sights were
// taken.
func ReplyTimeout(requests []Request, s Observations, unanswered map[netip.AddrPort]bool) (longest time.Duration) {
	traces := s.traces()
	for _, q := range requests {
		w := traces[q.From]
		if unanswered[q.From] && w.reached(InputEnd) {
			return timeoutOwnServer
		}
		longest = max(longest, q.replyTimeout(w))
	}
	return longest
}

func (q Request) replyTimeout(w trace) time.Duration {
	switch {
	case len(w.egress) > 0 || w.reached(RequestEgress):
		return 0
	case w.reached(ForwardEnd):
		return timeoutForwarded
	case w.reached(InputEnd) && q.Kind == Service:
		return timeoutServer
	case w.reached(InputEnd), !w.reached(PreroutingStart):
		return timeoutKernel
	}
	return 0
}
