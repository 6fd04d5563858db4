package prover

import (
	"net/netip"
	"slices"
	"time"

	"replypath/health/proof"
)

// tracedRequest is a request with the firewall rules that it and its reply have matched.
type tracedRequest struct {
	taken takenRequest
	steps []proof.Step
}

// stepsOf returns the steps as those of another request of the same kind, which another peer has sent.
func (t tracedRequest) stepsOf(q proof.Request) (all []proof.Step) {
	for _, x := range t.steps {
		x.Peer, x.Port = q.From.Addr(), q.From.Port()
		all = append(all, x)
	}
	return all
}

// isSame reports whether the request differs from the traced one only in what proofs choose at random: the peer, and the port of
// the server of datagrams.
func (t tracedRequest) isSame(q takenRequest) bool {
	return t.taken.withoutRandom() == q.withoutRandom()
}

func (q takenRequest) withoutRandom() takenRequest {
	q.From, q.StandIn = netip.AddrPort{}, 0
	if q.Kind == proof.Datagram {
		q.To = netip.AddrPortFrom(q.To.Addr(), 0)
	}
	return q
}

// traceLookup is a look-up of requests that were traced before.
type traceLookup struct {
	found   bool
	changes uint64 // of the rules, until they were read
}

// traced returns the requests as they were traced before, if that were the same, with the same causes, and no rule has changed
// since. A nil cache has none.
func (c *RuleCache) traced(failed []takenRequest) ([]tracedRequest, traceLookup) {
	if c == nil {
		return nil, traceLookup{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	same := time.Since(c.tracedAt) < maxRulesAge && c.tracedChanges == c.changes &&
		slices.EqualFunc(c.requests, failed, tracedRequest.isSame)
	return c.requests, traceLookup{same, c.readChanges}
}

// keepTraced keeps the traced requests for the next proof, unless a rule changes.
func (c *RuleCache) keepTraced(requests []tracedRequest, l traceLookup) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.tracedAt, c.tracedChanges = requests, time.Now(), l.changes
}
