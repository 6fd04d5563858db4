package doctor

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The sysctls by which a policy's connections are spread are named, unless they spread by ports in both families, or no policy
// spreads.
func TestDoctorReportsHowConnectionsAreSpread(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	settings := b.Settings
	outbound := func(tiers string) {
		b.Settings = append(settings[:len(settings):len(settings)], "[outbound]", `default = "all"`, "[outbound.policies.all]", "tiers = "+tiers)
		b.Configure(b.Uplinks...)
		b.Apply()
	}
	hash := func(ipv4, ipv6 string) {
		b.Gateway.SetSysctl("net.ipv4.fib_multipath_hash_policy", ipv4)
		b.Gateway.SetSysctl("net.ipv6.fib_multipath_hash_policy", ipv6)
	}
	outbound(`[["isp0", "isp1"]]`)
	hash("0", "0")
	b.WantFinding(b.RunDoctor(), box.IsNote, "multipath-hash", "net.ipv4.fib_multipath_hash_policy = 0", "by their addresses alone", "sysctl -w net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1")
	hash("1", "0")
	b.WantFinding(b.RunDoctor(), box.IsWarning, "multipath-hash", "net.ipv6.fib_multipath_hash_policy = 0", "in different ways")
	hash("2", "2")
	b.WantFinding(b.RunDoctor(), box.IsNote, "multipath-hash", "by the packets in tunnels")
	hash("1", "1")
	if d := b.RunDoctor(); len(d.Of("multipath-hash")) > 0 {
		t.Errorf("by ports: %s", d)
	}
	outbound(`[["isp0"], ["isp1"]]`)
	hash("0", "1")
	if d := b.RunDoctor(); len(d.Of("multipath-hash")) > 0 {
		t.Errorf("without a tier of several uplinks: %s", d)
	}
}

// Learnt default routes with the same metric by two interfaces are named, less severely where a policy decides.
func TestDoctorReportsDefaultRoutesThatDisagree(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	settings := b.Settings
	b.Apply()
	route := func(how, metric, dev string) {
		u := b.Uplinks[map[string]int{"eth0": 0, "eth1": 1}[dev]]
		b.Gateway.Run("ip", "route", how, "default", "via", u.Router4.String(), "dev", dev, "metric", metric, "proto", "dhcp")
		b.Gateway.Run("ip", "-6", "route", how, "default", "via", u.Router6.String(), "dev", dev, "metric", metric, "proto", "dhcp")
	}
	route("append", "100", "eth0")
	route("append", "200", "eth1")
	if d := b.RunDoctor(); len(d.Of("default-routes-disagree")) > 0 {
		t.Errorf("with different metrics: %s", d)
	}
	route("append", "100", "eth1")
	d := b.RunDoctor()
	b.WantFinding(d, box.IsWarning, "default-routes-disagree", "ip route default via 198.51.100.1 dev eth0 metric 100 (learnt)", "dev eth1 metric 100", "RouteMetric=")
	if n := len(d.Of("default-routes-disagree")); n != 2 {
		t.Errorf("%d families disagree: %s", n, d)
	}
	b.Settings = append(settings[:len(settings):len(settings)], `outbound = { default = "isp0" }`)
	b.Configure(b.Uplinks...)
	b.Apply()
	b.WantFinding(b.RunDoctor(), box.IsNote, "default-routes-disagree")
}
