package proof_test

import (
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/marks"
	"replypath/uplinks"
)

// proxiedRequests returns the protocols of the requests for proxies that a host with the intercepts makes.
func proxiedRequests(intercepts ...uplinks.Intercept) (protocols []string) {
	p := health.Path{Key: health.Key{Uplink: "a", Family: uplinks.IPv4}, Link: "eth0", Source: netip.MustParseAddr("192.0.2.2")}
	h := proof.Host{InterceptBit: 0x10, Intercepts: map[uplinks.Family][]uplinks.Intercept{uplinks.IPv4: intercepts}}
	for _, q := range proof.Requests([]health.Path{p}, h, map[health.Key]netip.Addr{p.Key: netip.MustParseAddr("203.0.113.9")}, 1) {
		if q.Kind == proof.Proxied {
			protocols = append(protocols, q.Proto)
		}
	}
	return protocols
}

// A request by TCP for a proxy says nothing about the datagrams that the same intercept takes.
func TestEachProtocolOfAnInterceptIsAsked(t *testing.T) {
	intercept := func(proto, link string) uplinks.Intercept {
		return uplinks.Intercept{Name: "dns", Links: []string{link}, Protocols: []string{proto}, Ports: []marks.PortRange{{First: 53, Last: 53}}, Port: 50053}
	}
	for _, tt := range []struct {
		intercepts []uplinks.Intercept
		want       int
	}{
		{[]uplinks.Intercept{intercept("tcp", "eth0"), intercept("udp", "eth0")}, 2},
		{[]uplinks.Intercept{intercept("udp", "eth0")}, 1},
		{[]uplinks.Intercept{intercept("udp", "lan0")}, 0},
		{nil, 0},
	} {
		if got := proxiedRequests(tt.intercepts...); len(got) != tt.want {
			t.Errorf("%v: %v, want %d requests", tt.intercepts, got, tt.want)
		}
	}
}
