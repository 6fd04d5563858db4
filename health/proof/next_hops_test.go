package proof_test

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Where a hash chooses the next hop of replies, those to some clients leave by another interface, whatever became of the peer's.
func TestRoutesWithSeveralNextHops(t *testing.T) {
	for name, from := range map[string]netip.Addr{"of replies": {}, "of replies from the uplink's address": lte.Source} {
		s, out := snapshot(), correctLookups().Reply
		addForeignRule(&s, uplinks.Rule{Priority: 90, Mark: 0x200, Mask: 0x200, Table: 77}, 0)
		d := proof.LookUpRoutes(lte, peer.Addr(), nil, func(q uplinks.RouteQuery) uplinks.RouteDecision {
			decision := out
			if q.AllHops && q.From == from {
				decision.Other = 2
			}
			return decision
		})
		routes := s.CheckRoutes(lte, d)
		v := health.Proof{Routes: routes, Trace: health.ProofCheck{Result: health.Yes}}.Verdict()
		if v.Result != health.No || v.Cause != health.RuleShadowed || !strings.Contains(v.Detail, "several next hops") || !strings.Contains(v.Detail, "priority 90") {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// The cause of a reply that leaves by another interface is also found where a firewall rule has set its type of service, or an echo reply of
// IPv6 is bound to its interface.
func TestCausesBehindWhatIsNotObserved(t *testing.T) {
	s := snapshot()
	db := s.Databases[uplinks.IPv4]
	db.Rules = append(db.Rules, rpdb.Rule{Family: uplinks.IPv4, Priority: 90, TOS: 0x10, TOSMask: 0x1c, Action: uplinks.Lookup, Table: 77, SuppressLength: -1, SuppressGroup: -1})
	sortRules(db)
	o := proof.Observations{Hooks: observedAt(0x200, 0x200, upTo(4, proof.OutputStart, proof.OutputEnd)...), Egress: egressBy(2, true)}
	got := s.CheckTraces([]proof.Request{echoRequest}, ofRequest(echoRequest, o).Traces(), nil)[0].Check
	if got.Cause != health.RuleShadowed || !strings.Contains(got.Detail, "priority 90") {
		t.Errorf("%+v", got)
	}
}
