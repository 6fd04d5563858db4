package proof_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
)

// Requests for a service behind DNAT, or for an address of the host, that get nowhere are no: other requests may be answered.
func TestRequestsThatAreNotDelivered(t *testing.T) {
	service := echoRequest
	service.Kind, service.Proto, service.To, service.Found = proof.Service, "tcp", netip.AddrPortFrom(lte.Source, 2222), true
	leaves := observedAt(0x200, 0x200, upTo(2, proof.ForwardStart, proof.ForwardEnd, proof.RequestEgress)...)
	unheard := health.ProofCheck{Result: health.Yes, Cause: health.OtherCause, Detail: "not delivered to this host", Remedy: "see"}
	for name, c := range map[string]struct {
		request proof.Request
		hooks   []proof.Observation
		egress  []proof.EgressObservation
		routes  health.ProofCheck
		values  map[uplinks.Tunable]string
		want    health.Cause
		why     string
	}{
		"the address is not local": {request: echoRequest, hooks: at(lte.Source.String(), leaves), routes: unheard, want: health.OtherCause, why: "not delivered to this host"},
		"the host does not forward": {request: service, hooks: observedAt(0x200, 0x200, upTo(2)...), want: health.OtherCause, why: "eth1.forwarding = 0",
			values: map[uplinks.Tunable]string{{Link: "eth1", Name: "net.ipv4.conf.*.forwarding"}: "0"}},
		"they are not tracked": {request: service, want: health.Untracked, why: "DNAT does not translate",
			hooks: slices.Concat(at(service.To.Addr().String(), in(untracked, 0, observedAt(0, 0, upTo(4)...))), in(untracked, 0, observedAt(0, 0, proof.OutputStart, proof.OutputEnd))), egress: egressBy(3, false)},
	} {
		s := snapshot()
		s.Values = c.values
		got := s.CheckTraces([]proof.Request{c.request}, ofRequest(c.request, proof.Observations{Hooks: c.hooks, Egress: c.egress}).Traces(), map[health.Key]health.ProofCheck{lte.Key: c.routes})[0].Check
		if got.Result != health.No || got.Cause != c.want || !strings.Contains(got.Detail, c.why) || got.Remedy == "" {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}
