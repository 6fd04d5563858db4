package prover

import (
	"net/netip"
	"time"

	"replypath/health/proof"
)

// tracedRequest is a request with the firewall rules that it and its reply have matched.
type tracedRequest struct {
	taken takenRequest
	steps []proof.Step
	at    time.Time
}

// maxKept bounds the traced requests that are kept.
const maxKept = 4 * maxTraced

// stepsOf returns the steps as those of another request of the same kind, which another peer has sent.
func (t tracedRequest) stepsOf(q proof.Request) (all []proof.Step) {
	for _, x := range t.steps {
		x.Peer, x.Port = q.From.Addr(), q.From.Port()
		all = append(all, x)
	}
	return all
}

// withoutRandom returns the request without what proofs choose at random: the peer, and the port of the server of datagrams.
func (q takenRequest) withoutRandom() takenRequest {
	q.From, q.StandIn = netip.AddrPort{}, 0
	if q.Kind == proof.Datagram {
		q.To = netip.AddrPortFrom(q.To.Addr(), 0)
	}
	return q
}

// traceLookup is a look-up of requests that were traced before.
type traceLookup struct {
	known   []tracedRequest
	unknown []takenRequest // those that were not
	changes uint64         // of the rules, until they were read
}

// traced looks up the requests among those that were traced before: with the same causes, while no rule has changed since. A nil cache
// has none.
func (c *RuleCache) traced(failed []takenRequest) (l traceLookup) {
	if c == nil {
		return traceLookup{unknown: failed}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tracedChanges != c.changes {
		c.requests = nil
	}
	l.changes = c.readChanges
	for _, q := range failed {
		t, found := c.requests[q.withoutRandom()]
		if found = found && time.Since(t.at) < maxRulesAge; !found {
			l.unknown = append(l.unknown, q)
			continue
		}
		t.taken = q
		l.known = append(l.known, t)
	}
	return l
}

// keepTraced keeps the traced requests for the next proofs, until a rule changes.
func (c *RuleCache) keepTraced(requests []tracedRequest, l traceLookup) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests == nil || c.tracedChanges != l.changes || len(c.requests)+len(requests) > maxKept {
		c.requests = map[takenRequest]tracedRequest{}
	}
	c.tracedChanges = l.changes
	for _, t := range requests {
		t.at = time.Now()
		c.requests[t.taken.withoutRandom()] = t
	}
}
