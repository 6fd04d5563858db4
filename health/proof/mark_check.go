package proof

import (
	"cmp"
	"fmt"
	"strings"

	"replypath/health"
	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// markProblem returns the first thing on the way of the request and its reply that keeps the path's mark from it, as a No; the
// zero ProofCheck: there is none.
func (s Snapshot) markProblem(r Request, t trace) health.ProofCheck {
	for _, x := range t.hooks[PreroutingMarked] {
		if c := s.requestProblem(r, t, x); c.Cause != "" {
			return c
		}
	}
	for _, hook := range []Hook{InputStart, ForwardStart} {
		for _, x := range t.hooks[hook] {
			if !r.hasMark(x.Mark) {
				return s.overwritten(r, "PREROUTING", "the request", x.Mark)
			}
		}
	}
	if c := s.connectionProblem(r, t); c.Cause != "" {
		return c
	}
	for _, hook := range []Hook{OutputEnd, ReplyPrerouting} {
		for _, x := range t.hooks[hook] {
			if c := s.replyProblem(r, t, x); c.Cause != "" {
				return c
			}
		}
	}
	for _, x := range t.hooks[ReplyForward] {
		if !r.hasMark(x.Mark) {
			return s.overwritten(r, "PREROUTING", "the reply of the LAN host", x.Mark)
		}
	}
	return health.ProofCheck{}
}

// connectionProblem returns where another program has changed the mark of the connection, which the request had in PREROUTING; the
// zero ProofCheck: nowhere.
func (s Snapshot) connectionProblem(r Request, t trace) health.ProofCheck {
	p := r.Path
	for _, place := range []struct {
		hook   Hook
		name   string
		states ConnectionState // of packets that belong to the connection
	}{{InputEnd, "INPUT", StateNew}, {ForwardEnd, "FORWARD", StateNew}, {ReplyPrerouting, "POSTROUTING", StateEstablished}, {OutputEnd, "OUTPUT", StateEstablished}} {
		for _, x := range t.hooks[place.hook] {
			if x.State&place.states == 0 || r.hasMark(x.Ctmark) {
				continue
			}
			c := failed(health.MarkNotSaved, fmt.Sprintf("another program changes the mark of the connection in %s: it has %s instead of the mark %s", place.name, markText(x.Ctmark, p.Mask), p.Mark))
			c.Remedy = fmt.Sprintf("let that program set its bits only, with a mask (--set-xmark VALUE/MASK) without bits of %s", p.Mask)
			return s.withRule(c, "it is set by", func(f foreign.Rule) bool {
				return f.WritesConnmark && f.MarkBits&p.Mask != 0 && (f.Hook == place.name || f.Hook == "")
			})
		}
	}
	return health.ProofCheck{}
}

// hasMark reports whether a mark of a packet or connection is that of the path.
func (r Request) hasMark(mark uint32) bool {
	return mark&uint32(r.Path.Mask) == uint32(r.Path.Mark)
}

// requestProblem returns what is wrong with the mark of the request behind mangle in PREROUTING.
func (s Snapshot) requestProblem(r Request, t trace, x Observation) health.ProofCheck {
	p := r.Path
	switch {
	case x.Link != 0 && x.Link != p.Index:
		return bridged(p, s.linkName(x.Link))
	case x.State&StateUntracked != 0:
		return s.untracked(r, "PREROUTING", "the request", p.Link)
	case x.State&StateInvalid != 0:
		return failed(health.MarkNotSaved, fmt.Sprintf("connection tracking takes the request for invalid, so that it has no connection and no mark: %s", r))
	case !r.hasMark(x.Ctmark) && t.output.isRouterUnknown(p):
		return unknownRouter(p, x)
	case !r.hasMark(x.Ctmark):
		c := failed(health.MarkNotSaved, fmt.Sprintf("the connection of a request that arrived on %s has %s instead of the mark %s", p.Link, markText(x.Ctmark, p.Mask), p.Mark))
		c.Remedy += "; if the plan is empty, another program marks connections: " + listCommand(p.Family, "mangle")
		return s.withRule(c, "the rule that does it may be", func(f foreign.Rule) bool { return f.Hook == "PREROUTING" && f.WritesConnmark && f.MarkBits&p.Mask != 0 })
	case !r.hasMark(x.Mark) && x.Mark&uint32(p.Mask) == 0:
		return failed(health.MarkNotRestored, fmt.Sprintf("the connection has the mark %s, but PREROUTING does not restore it to the packet", p.Mark))
	case !r.hasMark(x.Mark):
		return s.overwritten(r, "PREROUTING", "the request", x.Mark)
	}
	return health.ProofCheck{}
}

// bridged returns that the path's interface is a port of another one, by which its packets come in.
func bridged(p health.Path, master string) health.ProofCheck {
	return health.ProofCheck{Result: health.No, Cause: health.Bridged,
		Detail: fmt.Sprintf("requests that arrive on %s come in by %s, of which it is a port: they do not get the mark of %s, and its neighbours answer to %s", p.Link, master, p.Uplink, master),
		Remedy: fmt.Sprintf("configure the uplink with interface = %q, or take %s out of it", master, p.Link)}
}

// replyProblem returns what is wrong with the mark of the reply, at the end of OUTPUT or behind mangle in PREROUTING.
func (s Snapshot) replyProblem(r Request, t trace, x Observation) health.ProofCheck {
	p, hook, reply := r.Path, "OUTPUT", "the reply"
	if x.Hook == ReplyPrerouting {
		hook, reply = "PREROUTING", "the reply of the LAN host"
	}
	zone, requestZone := x.Zone, t.requestZone()
	switch {
	case x.State&StateUntracked != 0:
		return s.untracked(r, hook, reply, "")
	case x.State&(StateNew|StateInvalid) != 0 && (zone != requestZone || s.firewallRule(choosesZone) != ""):
		c := failed(health.ConntrackZone, fmt.Sprintf("the connection of the request is in zone %d of connection tracking, and %s is looked for in another one: it is not taken for a reply and gets no mark", requestZone, reply))
		c.Remedy = "choose the same zone for replies, or none for requests: " + listCommand(p.Family, "raw")
		return s.withRule(c, "a zone is chosen by", choosesZone)
	case x.State&StateInvalid != 0:
		return failed(health.MarkNotRestored, fmt.Sprintf("connection tracking takes %s for invalid, so that it has no connection and no mark", reply))
	case !x.expectsMark(r):
	case r.hasMark(x.Mark):
	case x.Mark == t.initialMark(hook) && !s.overwrites(r, hook):
		return failed(health.MarkNotRestored, fmt.Sprintf("the connection has the mark %s, but %s does not restore it to %s", p.Mark, hook, reply))
	default:
		return s.overwritten(r, hook, reply, x.Mark)
	}
	return health.ProofCheck{}
}

// choosesZone reports whether the rule chooses a zone of connection tracking.
func choosesZone(f foreign.Rule) bool { return f.Zone }

// expectsMark reports whether the packet's connection has the path's mark.
func (x Observation) expectsMark(r Request) bool { return r.hasMark(x.Ctmark) }

// overwrites reports whether a rule of another program in the hook sets bits of replypath's mask.
func (s Snapshot) overwrites(r Request, hook string) bool {
	return s.firewallRule(func(f foreign.Rule) bool { return changesMark(f, hook, r.Path) }) != ""
}

// changesMark reports whether the rule writes bits of the mask to packets in the hook, or in a chain that other chains jump to.
func changesMark(f foreign.Rule, hook string, p health.Path) bool {
	return f.WritesMark && !f.WritesConnmark && f.MarkBits&p.Mask != 0 && (f.Hook == hook || f.Hook == "")
}

// overwritten returns that the packet has another mark than its connection, and the rule that may have set it.
func (s Snapshot) overwritten(r Request, hook, packet string, mark uint32) health.ProofCheck {
	cause := health.PreroutingMark
	if hook == "OUTPUT" {
		cause = health.OutputMark
	}
	p := r.Path
	c := failed(cause, fmt.Sprintf("another program changes the mark of %s in %s: it has the mark %#x, and its connection the mark %s", packet, hook, mark, p.Mark))
	c.Remedy = fmt.Sprintf("let that program set its bits only, with a mask (--set-xmark VALUE/MASK) without bits of %s", p.Mask)
	return s.withRule(c, "it is set by", func(f foreign.Rule) bool { return changesMark(f, hook, p) })
}

// untracked returns that a packet is exempt from connection tracking, and the rule that exempts it. in is the interface by which
// it came in, if it did.
func (s Snapshot) untracked(r Request, hook, packet, in string) health.ProofCheck {
	p := r.Path
	proxy := s.firewallRule(func(f foreign.Rule) bool { return f.SYNProxy })
	c := failed(health.Untracked, fmt.Sprintf("%s (%s) is exempt from connection tracking in %s, so that it has no mark", packet, r, hook))
	c.Remedy = "delete that rule, or restrict it to the loopback interface: " + listCommand(p.Family, "raw")
	if r.Proto == "tcp" && proxy != "" {
		c.Cause, c.Remedy = health.SYNProxy, "none, as long as the server is on this host"
		c.Detail += "; a proxy of handshakes needs that: " + proxy
	}
	return s.withRule(c, "it is exempt by", func(f foreign.Rule) bool {
		return f.NoTrack && (f.Hook == hook || f.Hook == "") && (in == "" || matchesLink(f.In, in))
	})
}

// withRule returns the check with the first rule of another program that matches.
func (s Snapshot) withRule(c health.ProofCheck, what string, match func(foreign.Rule) bool) health.ProofCheck {
	if rule := s.firewallRule(match); rule != "" {
		c.Detail += fmt.Sprintf("; %s %s", what, rule)
	}
	return c
}

// firewallRule returns the place, text and owner of the first rule of another program that matches, or "".
func (s Snapshot) firewallRule(match func(foreign.Rule) bool) string {
	for _, f := range s.Firewall {
		if !match(f) {
			continue
		}
		owner := "owner unknown"
		if o := foreign.Owner(f); o != "" {
			owner = "of " + o
		}
		return fmt.Sprintf("%s: %s: %s, %s", f.Tool, f.Location, cmp.Or(f.Selectors, f.Text), owner)
	}
	return ""
}

// matchesLink reports whether an interface match of iptables, which may be empty or end in +, includes the link.
func matchesLink(match, link string) bool {
	prefix, isPrefix := strings.CutSuffix(match, "+")
	return match == "" || match == link || isPrefix && strings.HasPrefix(link, prefix)
}

// markText returns the bits of a mark that are in the mask, in words.
func markText(mark uint32, mask marks.Mask) string {
	if mark&uint32(mask) == 0 {
		return "no mark"
	}
	return fmt.Sprintf("the mark %#x", mark&uint32(mask))
}

func failed(cause health.Cause, why string) health.ProofCheck {
	return health.ProofCheck{Result: health.No, Cause: cause, Detail: why, Remedy: repair}
}

// listCommand returns the command that lists an iptables table.
func listCommand(f uplinks.Family, table string) string {
	if f == uplinks.IPv6 {
		return "ip6tables -t " + table + " -S"
	}
	return "iptables -t " + table + " -S"
}
