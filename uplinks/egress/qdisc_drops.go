package egress

import "fmt"

// QueueLimit is what fits into a qdisc: the burst of tbf, the limit of a queue.
type QueueLimit struct {
	Size    uint64
	Packets bool // it is a number of packets, not of bytes
}

const (
	shortestReply = 40   // bytes: the headers of TCP or of an error in IPv4
	longReply     = 1280 // bytes: a packet that every link must carry (RFC 8200)
	lowestRate    = 1000 // bytes per second, at which a long reply takes more than a second
)

// drops returns the effect of a qdisc that drops packets of its own accord, or sends them too late.
func (q Qdisc) drops() (e Effect, drops bool) {
	everything := q.Parent == Root
	switch {
	case q.Kind == "blackhole":
		return Effect{Does: "drops every packet", Certain: everything, Drops: true}, true
	case q.Kind == "netem" && q.Loss > 0:
		return Effect{Does: fmt.Sprintf("drops %.3g%% of the packets", 100*float64(q.Loss)/float64(Root)), Certain: q.Loss == Root && everything, Drops: true}, true
	case q.Limit != nil && q.Limit.Packets && q.Limit.Size == 0:
		return Effect{Does: "drops every packet: its limit is 0", Certain: everything, Drops: true}, true
	case q.Limit != nil && !q.Limit.Packets && q.Limit.Size < longReply:
		return Effect{Does: fmt.Sprintf("drops packets longer than %d bytes", q.Limit.Size), Certain: q.Limit.Size < shortestReply && everything, Drops: true}, true
	case q.Kind == "tbf" && q.Rate < lowestRate:
		return Effect{Does: fmt.Sprintf("lets only %d bit/s pass", 8*q.Rate), Drops: true}, true
	}
	return e, false
}
