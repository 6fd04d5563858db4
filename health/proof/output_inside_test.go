package proof_test

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/marks/foreign"
)

// A request that was forwarded and got no reply is no proof where a rule at the ingress of its host's link may have taken that.
func TestRepliesThatARuleAtIngressMayTake(t *testing.T) {
	service := echoRequest
	service.Kind, service.Proto, service.To, service.Found = proof.Service, "tcp", netip.AddrPortFrom(lte.Source, 22), true
	host := netip.MustParseAddr("198.18.0.9")
	for name, c := range map[string]struct {
		rule foreign.Rule
		want health.Cause
		lost bool
	}{
		"drops":              {foreign.Rule{Text: "meta l4proto tcp drop", Drops: true}, health.FirewallDropped, true},
		"rewrites":           {foreign.Rule{Text: "tcp sport 22 tcp sport set 23", Rewrites: "tcp sport"}, health.ReplyRewritten, true},
		"redirects":          {foreign.Rule{Text: "fwd to \"dup9\"", Forwards: true}, health.ReplyRedirected, true},
		"drops another port": {foreign.Rule{Text: "tcp sport 25 drop", Drops: true}, health.NoAnswer, false},
	} {
		output := &proof.Output{InsideLinks: map[netip.Addr]int{host: 4}, AtIngress: map[int][]proof.ListedRule{4: {{Rule: c.rule, Place: "table netdev t, chain i"}}}}
		o := proof.Observations{Hooks: at(host.String(), observedAt(0x200, 0x200, upTo(2, proof.ForwardStart, proof.ForwardEnd)...)), Output: output}
		got := snapshot().CheckTraces([]proof.Request{service}, ofRequest(service, o).Traces(), map[health.Key]health.ProofCheck{})[0]
		named := strings.Contains(got.Check.Detail, "table netdev t, chain i: "+c.rule.Text)
		if got.Check.Result != health.Unknown || got.Check.Cause != c.want || got.ReplyLost != c.lost || named != c.lost {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A request that leaves by an uplink for a host on the Internet may get its reply back or not: that makes no path right.
func TestRequestsThatLeaveByAnUplinkAreUnknown(t *testing.T) {
	service, outside := echoRequest, netip.MustParseAddrPort("203.0.113.9:22")
	service.Kind, service.Proto, service.To = proof.Service, "tcp", netip.AddrPortFrom(lte.Source, 2222)
	o := ofRequest(service, proof.Observations{Hooks: observedAt(0x200, 0x200, upTo(2, proof.ForwardStart, proof.ForwardEnd, proof.RequestEgress)...)})
	for i := range o.Hooks {
		if o.Hooks[i].Hook >= proof.ForwardStart {
			o.Hooks[i].Host = outside
		}
	}
	got := snapshot().CheckTraces([]proof.Request{service}, o.Traces(), map[health.Key]health.ProofCheck{})
	if c := proof.Summarize(append(got, proof.RequestResult{Check: health.ProofCheck{Result: health.Yes}})); c.Result != health.Unknown || !strings.Contains(c.Detail, outside.String()) {
		t.Errorf("%+v", c)
	}
}
