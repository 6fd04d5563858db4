package health_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/uplinkstest"
)

var (
	gatewayProbe  = health.NewProbe("gw", health.Target{Kind: health.Gateway})
	icmpProbe4    = health.NewProbe("v4", health.Target{Kind: health.ICMP, Host: "203.0.113.9"})
	tcpProbe6     = health.NewProbe("v6", health.Target{Kind: health.TCP, Host: "2001:db8:c::9", Port: 53})
	hostnameProbe = health.NewProbe("name", health.Target{Kind: health.ICMP, Host: "example.net"})
)

// testSettings returns the settings of uplinkstest, with enough probes of the uplink "lte" and the given ones of "fibre".
func testSettings(quorum int, probes ...health.Probe) health.Settings {
	return health.Settings{Uplinks: []health.UplinkSettings{
		{Name: "fibre", Quorum: quorum, Probes: probes}, {Name: "lte", Quorum: 1, Probes: []health.Probe{hostnameProbe}}}}
}

// What several uplinks lack is said once.
func TestFindingsNameAllUplinksWithoutProbe(t *testing.T) {
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	all := health.Findings(health.Settings{Uplinks: []health.UplinkSettings{{Name: "fibre", Quorum: 1}, {Name: "lte", Quorum: 1}}}, s, f)
	if len(all) != 1 || !strings.HasPrefix(all[0].What, "each of the uplinks fibre, lte has no probe") || !strings.Contains(all[0].Remedy, "[uplinks.UPLINK.probes.NAME]") {
		t.Errorf("%v", all)
	}
}

func TestFindings(t *testing.T) {
	link := func(f *uplinks.Facts, change func(*uplinks.Link)) {
		l := f.Links["eth0"]
		change(&l)
		f.Links["eth0"] = l
	}
	none := func(*health.Settings, *uplinks.Settings, *uplinks.Facts) {}
	for name, c := range map[string]struct {
		health health.Settings
		change func(*health.Settings, *uplinks.Settings, *uplinks.Facts)
		want   []string // what each finding holds, in this order
	}{
		"a host name":                      {testSettings(1, hostnameProbe), none, nil},
		"a probe for each family":          {testSettings(1, icmpProbe4, tcpProbe6), none, nil},
		"the gateway is one of two needed": {testSettings(2, gatewayProbe, hostnameProbe), none, nil},
		"no probe":                         {testSettings(1), none, []string{"fibre has no probe: only its gateway is probed"}},
		"one family has no probe":          {testSettings(1, icmpProbe4), none, []string{"fibre has no probe for IPv6: only its gateway"}},
		"the gateway only":                 {testSettings(1, gatewayProbe), none, []string{"fibre probes its gateway only,"}},
		"the gateway is enough":            {testSettings(1, gatewayProbe, hostnameProbe), none, []string{"fibre is up when only its gateway answers"}},
		"the gateway is enough for one family": {testSettings(2, gatewayProbe, icmpProbe4), none,
			[]string{"fibre probes its gateway only for IPv6,"}},
		"an address in one family only": {testSettings(1, icmpProbe4), func(_ *health.Settings, _ *uplinks.Settings, f *uplinks.Facts) {
			link(f, func(l *uplinks.Link) {
				for i := len(l.Addrs) - 1; i >= 0; i-- {
					if l.Addrs[i].Prefix.Addr().Is6() {
						l.Addrs = append(l.Addrs[:i:i], l.Addrs[i+1:]...)
					}
				}
			})
		}, nil},
		"no link yet": {testSettings(1), func(_ *health.Settings, _ *uplinks.Settings, f *uplinks.Facts) { delete(f.Links, "eth0") },
			[]string{"fibre has no probe: only its gateway"}},
		"point to point": {testSettings(1), func(_ *health.Settings, _ *uplinks.Settings, f *uplinks.Facts) {
			link(f, func(l *uplinks.Link) { l.PointToPoint, l.Defaults = true, nil })
		}, []string{"fibre has no probe: it is judged by its link alone"}},
		"a probe that is never sent": {testSettings(1, icmpProbe4, tcpProbe6), func(_ *health.Settings, s *uplinks.Settings, _ *uplinks.Facts) {
			s.Uplinks[0].Gateway6 = uplinks.Gateway{}
		}, []string{"fibre: probe v6 is never sent"}},
		"a service address of an uplink, and one of none": {testSettings(1, hostnameProbe), func(h *health.Settings, _ *uplinks.Settings, _ *uplinks.Facts) {
			h.ProofServices = []health.ProofService{{Proto: "tcp", Addr: addr("198.51.100.2"), Port: 80}, {Proto: "tcp", Port: 80}, {Proto: "udp", Addr: addr("198.51.100.77"), Port: 53}}
		}, []string{"no uplink has the address 198.51.100.77 of udp port 53"}},
		"proof source is an address of the host": {testSettings(1, hostnameProbe), func(h *health.Settings, _ *uplinks.Settings, _ *uplinks.Facts) {
			h.Proof = health.ProofSettings{Source4: addr("203.0.113.77"), Source6: addr("2001:db8:b::2")}
		}, []string{"2001:db8:b::2 of [proof] is an address of this host, on eth1"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, s, f := c.health, uplinkstest.Settings(), uplinkstest.Facts()
			c.change(&h, &s, &f)
			checkFindings(t, health.Findings(h, s, f), c.want)
		})
	}
}

func checkFindings(t *testing.T, got []inspect.Finding, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d findings, want %d:\n%v", len(got), len(want), got)
	}
	for i, f := range got {
		if !strings.Contains(f.What, want[i]) || f.Remedy == "" || strings.Contains(f.String(), "%!") {
			t.Errorf("finding %q, want one that says %q and has a remedy", f, want[i])
		}
	}
}

func TestEndpointFindings(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		endpoint health.EndpointSettings
		want     []string
	}{
		{health.DefaultEndpointSettings, nil},
		{health.EndpointSettings{}, nil},
		{health.EndpointSettings{Listen: at("[::1]:80")}, nil},
		{health.EndpointSettings{Listen: at("0.0.0.0:9717")}, []string{"requires no token", "without TLS"}},
		{health.EndpointSettings{Listen: at("[2001:db8::1]:9717"), TokenFile: "/t"}, []string{"without TLS"}},
		{health.EndpointSettings{Listen: at("192.0.2.2:9717"), CertFile: "/c", KeyFile: "/k"}, []string{"requires no token"}},
		{health.EndpointSettings{Listen: at("192.0.2.2:9717"), TokenFile: "/t", CertFile: "/c", KeyFile: "/k"}, nil},
	} {
		checkFindings(t, c.endpoint.Findings(), c.want)
	}
}

func TestDetectionTime(t *testing.T) {
	fast, slow := icmpProbe4, icmpProbe4
	fast.Timeout, slow.Interval = 100*time.Millisecond, 10*time.Second
	fast4, usual, slow4 := 1400*time.Millisecond, 3200*time.Millisecond, 12200*time.Millisecond
	own := health.Path{Key: health.Key{Uplink: "fibre", Family: uplinks.IPv4}, Gateway: addr("198.51.100.1")}
	for _, c := range []struct {
		quorum int
		probes []health.Probe
		want   time.Duration
	}{
		{1, nil, usual},                                           // the gateway
		{1, []health.Probe{tcpProbe6}, usual},                     // likewise: the only probe is of the other family
		{1, []health.Probe{fast, icmpProbe4, slow}, slow4},        // one is enough: the last must fall
		{2, []health.Probe{slow, fast, icmpProbe4}, usual},        // when two are down
		{3, []health.Probe{slow, fast, icmpProbe4}, fast4},        // all must be answered: the first that falls
		{3, []health.Probe{slow, tcpProbe6, icmpProbe4}, usual},   // at most all of the family
		{1, []health.Probe{fast, gatewayProbe, tcpProbe6}, usual}, // the gateway is one of them
		{2, []health.Probe{fast, gatewayProbe, tcpProbe6}, fast4}, //
		{1, []health.Probe{hostnameProbe, tcpProbe6}, usual},      // a host name supports both families
		{0, []health.Probe{slow, fast, icmpProbe4}, slow4},        // no quorum is one
	} {
		u := health.UplinkSettings{Name: "fibre", Quorum: c.quorum, Probes: c.probes}
		if d, known := (health.Settings{Uplinks: []health.UplinkSettings{u}}).DetectionTime(own); d != c.want || !known {
			t.Errorf("quorum %d of %v: %s, %t, want %s", c.quorum, c.probes, d, known, c.want)
		}
	}
}

func TestDetectionTimeIsUnknownWithoutProbes(t *testing.T) {
	direct := health.Path{Key: health.Key{Uplink: "fibre", Family: uplinks.IPv4}, OnLink: true}
	for _, probes := range [][]health.Probe{nil, {gatewayProbe}, {tcpProbe6}} {
		u := health.UplinkSettings{Name: "fibre", Quorum: 1, Probes: probes}
		for _, other := range []string{"", "198.18.9.1"} { // the far end, which does not answer ARP
			direct.Gateway, _ = netip.ParseAddr(other)
			if d, known := (health.Settings{Uplinks: []health.UplinkSettings{u}}).DetectionTime(direct); known {
				t.Errorf("%v, gateway %q: %s, want none", probes, other, d)
			}
		}
	}
	if d, known := testSettings(1, icmpProbe4).DetectionTime(direct); !known || d != 3200*time.Millisecond {
		t.Errorf("a probe over a point-to-point link: %s, %t", d, known)
	}
}

// A target that another uplink probes too might have failed itself, until it answers there.
func TestDetectionTimeOfASharedTarget(t *testing.T) {
	s := testSettings(1, hostnameProbe)
	s.Uplinks[0].Probes[0].Fall = 1
	own := health.Path{Key: health.Key{Uplink: "fibre", Family: uplinks.IPv4}, Gateway: addr("198.51.100.1")}
	s.Uplinks[1].Probes = []health.Probe{icmpProbe4}
	if d, _ := s.DetectionTime(own); d != 2*time.Second {
		t.Errorf("alone: %s, want 2s", d)
	}
	slow := hostnameProbe
	slow.Retry, slow.Timeout = time.Second, 3*time.Second
	s.Uplinks[1].Probes = []health.Probe{slow}
	if d, _ := s.DetectionTime(own); d != 6*time.Second {
		t.Errorf("shared: %s, want 6s", d)
	}
	s.Uplinks[0].Probes, s.Uplinks[1].Probes = []health.Probe{gatewayProbe}, []health.Probe{gatewayProbe}
	if d, _ := s.DetectionTime(own); d != gatewayProbe.DetectionTime() {
		t.Errorf("each its own gateway: %s, want %s", d, gatewayProbe.DetectionTime())
	}
}
