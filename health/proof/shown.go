package proof

import (
	"fmt"

	"replypath/health"
	"replypath/uplinks"
)

// Answer is what became of a question.
type Answer struct {
	Question Question
	Check    health.Check
	Left     string // the link that the answer would have left by; empty: there was none
}

// Shown judges the questions by what was seen of them. Of a path whose question was not answered, asked may know why.
func (g Ground) Shown(questions []Question, s Sights, asked map[health.Key]health.Check) []Answer {
	all := s.walks()
	answers := make([]Answer, 0, len(questions))
	for _, q := range questions {
		w := all[q.From]
		a := Answer{Question: q}
		if len(w.left) > 0 {
			a.Left = g.link(w.left[0].Link)
		}
		a.Check = g.shown(q, w, asked[q.Path.Key])
		answers = append(answers, a)
	}
	return answers
}

func (g Ground) shown(q Question, w walk, asked health.Check) health.Check {
	p := q.Path
	switch {
	case !w.was(Arrived):
		return inconclusive(q, "something before the firewall takes it: an XDP program, tc, or an ingress hook of nftables")
	case !w.was(Marked):
		return inconclusive(q, "the firewall drops it in PREROUTING, in raw or mangle")
	case !w.saved(Marked, p.Mark, p.Mask):
		c := no(health.NotSaved, fmt.Sprintf("the connection of a question that came in by %s did not get the mark %s, but %s", p.Link, p.Mark, ctmark(w, p)))
		c.Remedy += "; when the plan is empty, somebody else keeps questions out of connection tracking or marks connections: " +
			listing(p.Family, "raw") + " and " + listing(p.Family, "mangle")
		return c
	case !w.restored(Marked, p.Mark, p.Mask):
		return no(health.NotRestored, fmt.Sprintf("the connection has the mark %s, but the packet did not get it in PREROUTING", p.Mark))
	case len(w.left) > 0:
		return g.departed(q, w, asked)
	}
	return g.silent(q, w, asked)
}

// listing is how one sees an iptables table.
func listing(f uplinks.Family, table string) string {
	if f == uplinks.IPv6 {
		return "ip6tables -t " + table + " -S"
	}
	return "iptables -t " + table + " -S"
}

// ctmark is what the connection got instead.
func ctmark(w walk, p health.Path) string {
	for _, x := range w.at[Marked] {
		if x.Ctmark&uint32(p.Mask) != 0 {
			return fmt.Sprintf("%#x", x.Ctmark&uint32(p.Mask))
		}
	}
	return "none"
}

// departed judges an answer by the link that it would have left by.
func (g Ground) departed(q Question, w walk, asked health.Check) health.Check {
	p, d := q.Path, w.left[0]
	switch {
	case q.Proto == "udp" && !d.Replies:
		return health.Check{Result: health.No, Cause: health.WildcardUDP,
			Why:    fmt.Sprintf("the UDP server was asked at %s and answers from %s, by %s: its answer belongs to no connection", q.To, d.From, g.link(d.Link)),
			Remedy: fmt.Sprintf("bind the server to the uplink's address %s, or let it answer from the address it was asked at (IP_PKTINFO)", q.To.Addr())}
	case !w.restored(Sent, p.Mark, p.Mask):
		return no(health.NotRestored, fmt.Sprintf("the connection has the mark %s, but its answer did not get it in OUTPUT and leaves by %s", p.Mark, g.link(d.Link)))
	case !w.restored(Returned, p.Mark, p.Mask):
		return no(health.NotRestored, fmt.Sprintf("the connection has the mark %s, but its answer from inside did not get it in PREROUTING and leaves by %s", p.Mark, g.link(d.Link)))
	case d.Link == p.Index:
		return health.Check{Result: health.Yes}
	case asked.Result == health.No:
		c := asked
		c.Why = fmt.Sprintf("the answer would leave by %s: %s", g.link(d.Link), asked.Why)
		return c
	}
	return health.Check{Result: health.No, Cause: health.OtherCause, Remedy: "see which rule takes it: " + q.explain() + "; and who else marks packets: " + listing(p.Family, "mangle"),
		Why: fmt.Sprintf("the answer would leave by %s, though the kernel would send what has the mark by %s", g.link(d.Link), p.Link)}
}

// explain is the command that walks the answer through the rules.
func (q Question) explain() string {
	line := fmt.Sprintf("replypath explain %s --from %s --mark %s", q.From.Addr(), q.To.Addr(), q.Path.Mark)
	if q.Proto == "tcp" || q.Proto == "udp" {
		line += fmt.Sprintf(" --proto %s --sport %d --dport %d", q.Proto, q.To.Port(), q.From.Port())
	}
	return line
}

// silent says how far a question came that no answer to was seen.
func (g Ground) silent(q Question, w walk, asked health.Check) health.Check {
	in, passed := w.was(Inbound), w.was(Forward)
	switch {
	case w.was(Bounced):
		return unknown(health.NoAnswer, fmt.Sprintf("%s would be sent out again by an uplink, and was held back", q), "if a host inside has the service, look at the DNAT rule and the route to that host")
	case !in && !passed && asked.Result == health.No:
		return asked
	case !in && !passed:
		return inconclusive(q, "something drops it behind mangle in PREROUTING: a rule in nat or of nftables, or the routing decision")
	case in && !w.was(Accepted):
		return inconclusive(q, "the firewall drops it in INPUT")
	case passed && !w.was(Forwarded):
		return inconclusive(q, "the firewall drops it in FORWARD")
	case w.was(Returned) && astray(asked):
		return asked
	case w.was(Returned):
		return inconclusive(q, "the answer from inside is dropped on its way through")
	case w.was(Answered) && !w.was(Sent):
		return inconclusive(q, "the firewall drops the answer in OUTPUT")
	case astray(asked):
		return asked
	case w.was(Sent):
		return inconclusive(q, "the answer is dropped behind OUTPUT")
	}
	return g.unanswered(q)
}

// astray reports whether the kernel has no right way for an answer.
func astray(asked health.Check) bool {
	return asked.Cause == health.RuleMissing || asked.Cause == health.RuleShadowed || asked.Cause == health.RouteMissing
}

func (g Ground) unanswered(q Question) health.Check {
	ignored := echoIgnored[q.Path.Family]
	switch {
	case q.Kind == Echo && g.Values[ignored] == "1":
		return unknown(health.NoAnswer, fmt.Sprintf("%s is not answered: %s", q, g.sysctl(ignored)), fmt.Sprintf("sysctl -w %s=0, if it should be", ignored))
	case q.Kind == Service && q.Proto == "udp":
		return unknown(health.NoAnswer, fmt.Sprintf("%s is not answered: a UDP server may not know what to say", q), "nothing, if the server is well")
	case q.Kind == Service:
		return unknown(health.NoAnswer, fmt.Sprintf("%s is not answered", q), "see whether the service runs, and whether its host can be reached")
	}
	return unknown(health.NoAnswer, fmt.Sprintf("%s is not answered", q), "the kernel may hold answers back that are too many; the other questions may show the path")
}

func no(cause health.Cause, why string) health.Check {
	return health.Check{Result: health.No, Cause: cause, Why: why, Remedy: repair}
}

func unknown(cause health.Cause, why, remedy string) health.Check {
	return health.Check{Result: health.Unknown, Cause: cause, Why: why, Remedy: remedy}
}

// inconclusive is a firewall's work: it says nothing about the path.
func inconclusive(q Question, how string) health.Check {
	return unknown(health.Filtered, fmt.Sprintf("%s is not answered: %s", q, how),
		fmt.Sprintf("nothing, if that is wanted; or let the firewall pass questions from an address of your choice: [proof] source = %q", example[q.Path.Family]))
}

var example = map[uplinks.Family]string{uplinks.IPv4: "192.0.2.254", uplinks.IPv6: "2001:db8::fe"}
