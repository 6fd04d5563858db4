package proof

import (
	"net/netip"
	"time"
)

// How long an answer is waited for: the kernel gives its own at once, unless it spreads packets over processors; a
// server needs its time; and for a host inside that does not answer the kernel itself says so after three seconds, in
// which the trap must stand.
const (
	patienceKernel = 60 * time.Millisecond
	patienceServer = 500 * time.Millisecond
	patienceInside = 3500 * time.Millisecond
	patienceOwn    = 5 * time.Second // a server of our own, on a machine that is busy
)

// Patience is how long the questions' answers should be waited for, counted from when the last of them was put; 0: all
// are answered, or will not be. Owing are askers whom a server of our own had not answered yet before the sights were
// taken.
func Patience(questions []Question, s Sights, owing map[netip.AddrPort]bool) (longest time.Duration) {
	all := s.walks()
	for _, q := range questions {
		w := all[q.From]
		if owing[q.From] && w.was(Accepted) {
			return patienceOwn
		}
		longest = max(longest, q.patience(w))
	}
	return longest
}

func (q Question) patience(w walk) time.Duration {
	switch {
	case len(w.left) > 0 || w.was(Bounced):
		return 0
	case w.was(Forwarded):
		return patienceInside
	case w.was(Accepted) && q.Kind == Service:
		return patienceServer
	case w.was(Accepted), !w.was(Arrived):
		return patienceKernel
	}
	return 0
}
