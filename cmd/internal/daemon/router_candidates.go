package daemon

import (
	"net"
	"slices"
	"time"

	"replypath/uplinks/rtnl"
)

const (
	maxCandidates   = 64
	maxFlows        = 4                // of a candidate
	maxPendingFlows = 64               // of a router that is not in force yet
	firstCheck      = time.Millisecond // doubled after each check
	candidateTime   = 2 * time.Second  // after which a candidate without an answered connection is dropped
	routerBurst     = 32               // routers that are taken at once
	routerRate      = 2                // routers a second after that
	maxPendingTime  = 5 * time.Second  // in which a round must have put a router in force
	lookUpBurst     = 256              // connections of candidates that are looked up at once
	lookUpRate      = 200              // look-ups a second after that
)

// candidate is a sender on a link that is no known router there.
type candidate struct {
	link, mac string
	flows     []candidateFlow
	until     time.Time // when it is dropped
	next      time.Time // when its connections are looked up
	pause     time.Duration
}

// candidateFlow is the connection of a packet of a candidate.
type candidateFlow struct {
	rtnl.Flow
	to, from net.HardwareAddr // of the frame with the SYN
	syn      []byte           // a TCP SYN that was read as a whole, else nil
}

// candidates are the senders of which it is not known yet whether their connections are answered. Not safe for concurrent use.
type candidates struct {
	all   []*candidate
	taken tokenBucket // routers
}

// add adds a packet. Beyond maxCandidates a new sender is left out until others are decided.
func (c *candidates) add(link string, p sentPacket, now time.Time) {
	f := p.candidateFlow
	i := slices.IndexFunc(c.all, func(o *candidate) bool { return o.link == link && o.mac == p.mac })
	if i < 0 {
		if len(c.all) < maxCandidates {
			c.all = append(c.all, &candidate{link: link, mac: p.mac, flows: []candidateFlow{f}, until: now.Add(candidateTime), next: now, pause: firstCheck})
		}
		return
	}
	known := c.all[i]
	if slices.ContainsFunc(known.flows, func(o candidateFlow) bool { return o.Flow == f.Flow }) {
		return
	}
	if len(known.flows) == maxFlows {
		known.flows = known.flows[1:]
	}
	known.flows, known.until = append(known.flows, f), now.Add(candidateTime)
	if known.next.After(now.Add(firstCheck)) {
		known.next = now.Add(firstCheck)
	}
}

// due returns the candidates whose connections are to be looked up now, and removes those whose time is over.
func (c *candidates) due(now time.Time) (all []*candidate) {
	c.all = slices.DeleteFunc(c.all, func(o *candidate) bool { return now.After(o.until) })
	for _, o := range c.all {
		if !o.next.After(now) {
			o.next, o.pause = now.Add(o.pause), 2*o.pause
			all = append(all, o)
		}
	}
	return all
}

// nextCheck returns how long it is until a candidate is due; 0: there is none.
func (c *candidates) nextCheck(now time.Time) (wait time.Duration) {
	for _, o := range c.all {
		left := max(min(o.next.Sub(now), o.until.Sub(now)), firstCheck/2)
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return wait
}

// remove removes a candidate.
func (c *candidates) remove(gone *candidate) {
	c.all = slices.DeleteFunc(c.all, func(o *candidate) bool { return o == gone })
}
