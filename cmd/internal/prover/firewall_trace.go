package prover

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/health"
	"replypath/health/proof"
	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/marks/netfilter"
)

// maxTraced bounds the requests that are traced through the firewall.
const maxTraced = 16

// takenByFirewall are the causes that a firewall rule explains.
var takenByFirewall = []health.Cause{health.FirewallDropped, health.ReplyDropped, health.ReplyRewritten, health.ReplyRedirected, health.NeighbourCause}

// traceFirewall adds to the observations the firewall rules that have taken requests or replies, if the verdicts have such a cause.
// Rules of the legacy backend leave no trace: those that can drop replies behind the routes are taken from their list.
func (r *run) traceFirewall(ctx context.Context, cache *RuleCache, s proof.Snapshot, results []proof.PathResult, t *trace) error {
	failed := takenRequests(results)
	if len(failed) == 0 || t.observations.Output == nil || !s.FirewallRead {
		return nil
	}
	before := cache.traced(failed)
	traced := before.known
	if len(before.unknown) > 0 {
		now, err := r.traceRequests(ctx, s, before.unknown)
		if err != nil {
			return err
		}
		cache.keepTraced(now, before)
		traced = append(traced, now...)
	}
	o := t.observations.Output
	for _, q := range traced {
		o.Steps = append(o.Steps, q.stepsOf(q.taken.Request)...)
		o.Steps = append(o.Steps, listedSteps(s.Firewall, q.taken.Request)...)
	}
	return nil
}

// traceRequests injects the requests once more, with a trace of the rules of nftables that they match.
func (r *run) traceRequests(ctx context.Context, s proof.Snapshot, failed []takenRequest) ([]tracedRequest, error) {
	rules, err := foreign.ReadPlacedRules(s.Firewall)
	if err != nil {
		return nil, err
	}
	tracer, err := netfilter.OpenTracer()
	if err != nil {
		return nil, err
	}
	defer tracer.Close()
	var requests []proof.Request
	for _, q := range failed {
		requests = append(requests, q.Request)
	}
	again, err := r.injectAll(ctx, requests, true)
	if err != nil {
		return nil, err
	}
	steps := nftSteps(tracer.Events(), rules)
	all := make([]tracedRequest, len(failed))
	for n, q := range failed {
		all[n].taken = q
		i := slices.IndexFunc(again.requests, func(x proof.Request) bool { return x.Path == q.Path && x.Kind == q.Kind && x.To == q.To })
		if i >= 0 {
			all[n].steps = stepsFrom(steps, again.requests[i].From)
		}
	}
	return all, nil
}

// takenRequest is a request that a firewall rule may have taken, or its reply, as the cause says.
type takenRequest struct {
	proof.Request
	cause health.Cause
}

// takenRequests returns the requests that a firewall rule may have taken, or the replies to them.
func takenRequests(results []proof.PathResult) (taken []takenRequest) {
	for _, path := range results {
		for _, x := range path.Requests {
			if slices.Contains(takenByFirewall, x.Check.Cause) && len(taken) < maxTraced {
				taken = append(taken, takenRequest{x.Request, x.Check.Cause})
			}
		}
	}
	return taken
}

// stepsFrom returns the steps of packets from and to the peer.
func stepsFrom(steps []proof.Step, peer netip.AddrPort) (all []proof.Step) {
	for _, x := range steps {
		if x.Peer == peer.Addr() && x.Port == peer.Port() {
			all = append(all, x)
		}
	}
	return all
}

// nftSteps returns the rules that the packets have matched, apart from replypath's own. A reply is behind its route once it has met
// the capture in POSTROUTING. The source of a packet is not looked at: a rule may just have overwritten it.
func nftSteps(events []netfilter.TraceEvent, rules foreign.PlacedRules) (all []proof.Step) {
	peers, routed := map[netip.Addr]bool{}, map[netip.AddrPort]bool{}
	for _, e := range events {
		if foreign.IsOurs(e) {
			switch {
			case e.Chain == "prerouting-start":
				peers[e.Flow.From.Addr()] = true
			case strings.HasPrefix(e.Chain, "postrouting"):
				routed[e.Flow.To] = true
			}
			continue
		}
		b, where := rules.Find(e)
		x := proof.Step{Peer: e.Flow.From.Addr(), Port: e.Flow.From.Port(), Place: where, Rule: b.Text, Drops: e.Drops || b.Drops && !e.Accepts,
			Forwards: b.Forwards, Rewrites: len(b.Rewrites) > 0, ByAddress: b.ByAddress}
		if !peers[x.Peer] {
			x.Reply, x.Peer, x.Port, x.AfterRouting = true, e.Flow.To.Addr(), e.Flow.To.Port(), routed[e.Flow.To]
		}
		all = append(all, x)
	}
	return all
}

// listedSteps returns the rules that can take the reply behind its route and leave no trace: those of the legacy backend, and those
// at the egress of its link that also take the requests by which the kernel resolves the gateway.
func listedSteps(others []foreign.Rule, q proof.Request) (all []proof.Step) {
	for _, f := range others {
		atEgress := slices.Contains(f.Devices.Values(), q.Path.Link)
		legacy := f.Backend == marks.Legacy && f.IsIPv6() == q.From.Addr().Is6()
		if !f.ChangesEgress() || f.Out != "" && f.Out != q.Path.Link || !legacy && !(atEgress && f.LinksOnly) {
			continue
		}
		x := proof.Step{Peer: q.From.Addr(), Port: q.From.Port(), Reply: true, AfterRouting: true, Listed: true, Place: placeOf(f), Rule: f.Text,
			Drops: f.Drops, Forwards: f.Forwards, Rewrites: f.Rewrites != "", ByAddress: f.ByAddress()}
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// placeOf returns where the rule is, for the operator.
func placeOf(f foreign.Rule) string {
	table := strings.TrimSuffix(f.Location, " "+f.Chain)
	if f.Backend == "" {
		return fmt.Sprintf("table %s, chain %s", table, f.Chain)
	}
	return fmt.Sprintf("table %s (%s), chain %s", table, strings.TrimSuffix(f.Tool, "-save"), f.Chain)
}
