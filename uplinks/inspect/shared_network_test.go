package inspect_test

import (
	"maps"
	"net/netip"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/uplinkstest"

	"github.com/google/go-cmp/cmp"
)

// withLink returns facts with one more link, stacked on the link with the index lower.
func withLink(name string, lower int, change func(*uplinks.Link), addresses ...string) uplinks.Facts {
	f := uplinkstest.Facts()
	f.Links = maps.Clone(f.Links)
	l := uplinks.Link{Name: name, Index: 50, Up: true, Carrier: true, Lower: lower}
	for _, a := range addresses {
		l.Addrs = append(l.Addrs, uplinks.Addr{Prefix: netip.MustParsePrefix(a)})
	}
	if change != nil {
		change(&l)
	}
	f.Links[name] = l
	return f
}

func TestLinksInUplinkNetworksAreReported(t *testing.T) {
	first, second := uplinkstest.Facts().Links["eth0"].Index, uplinkstest.Facts().Links["eth1"].Index
	const (
		requests = ": requests that come in by it get no mark, and main sends their replies by eth0: add a table for it: "
		renumber = "; or, if its network only has the same number, renumber one of the two"
	)
	onVLAN := withLink("vlan5", second, nil)
	onVLAN.Links["vrrp.51"] = uplinks.Link{Name: "vrrp.51", Index: 51, Up: true, Lower: 50, Addrs: []uplinks.Addr{{Prefix: prefix("192.0.2.100/32")}}}
	noDefault := withLink("vmac0", second, nil, "192.0.2.100/32")
	withoutDefault := noDefault.Links["eth0"]
	withoutDefault.Defaults = nil
	noDefault.Links["eth0"] = withoutDefault
	for name, c := range map[string]struct {
		facts uplinks.Facts
		want  []string
	}{
		"a macvlan with a virtual address": {withLink("vrrp.51", second, nil, "192.0.2.100/32"), []string{
			"vrrp.51 is stacked on eth1, has the address 192.0.2.100 of the network of uplink lte, and is no uplink" + requests +
				`[uplinks.vrrp_51] with id = 3, interface = "vrrp.51", gateway = ["192.0.2.1"]`}},
		"a macvlan with addresses of both families": {withLink("vmac0", second, nil, "192.0.2.100/24", "2001:db8:b::100/64", "192.0.2.101/32"), []string{
			"vmac0 is stacked on eth1, has the address 192.0.2.100 of the network of uplink lte, and is no uplink" + requests +
				`[uplinks.vmac0] with id = 3, interface = "vmac0", gateway = ["192.0.2.1", "fe80::1"]`}},
		"a macvlan on a VLAN on the uplink": {onVLAN, []string{
			"vrrp.51 is stacked on eth1, has the address 192.0.2.100 of the network of uplink lte, and is no uplink" + requests +
				`[uplinks.vrrp_51] with id = 3, interface = "vrrp.51", gateway = ["192.0.2.1"]`}},
		"a second card in the network": {withLink("eth2", 0, nil, "192.0.2.3/24"), []string{
			"eth2 leads to the same network, has the address 192.0.2.3 of the network of uplink lte, and is no uplink" + requests +
				`[uplinks.eth2] with id = 3, interface = "eth2", gateway = ["192.0.2.1"]` + renumber}},
		"main has no default route": {noDefault, []string{
			"uplink fibre: no IPv4 gateway is known: the kernel has no default route by eth0: write the gateway's address in the configuration of fibre",
			"uplink fibre: no IPv6 gateway is known: the kernel has no default route by eth0: write the gateway's address in the configuration of fibre",
			"vmac0 is stacked on eth1, has the address 192.0.2.100 of the network of uplink lte, and is no uplink: requests that come in by it get no mark, and main sends their replies nowhere: add a table for it: " +
				`[uplinks.vmac0] with id = 3, interface = "vmac0", gateway = ["192.0.2.1"]`}},
		"main's replies leave by the uplink":        {withLink("vmac0", first, nil, "198.51.100.100/24"), nil},
		"a VLAN with a network of its own":          {withLink("eth1.100", second, nil, "203.0.113.1/24"), nil},
		"a part of the network inside":              {withLink("dmz0", 0, nil, "192.0.2.65/28"), nil},
		"an address of the network on another link": {withLink("lan1", 0, nil, "192.0.2.100/32"), nil},
		"a dummy":             {withLink("dummy0", 0, func(l *uplinks.Link) { l.Isolated = true }, "192.0.2.100/24"), nil},
		"a link that is down": {withLink("vmac0", second, func(l *uplinks.Link) { l.Up = false }, "192.0.2.100/24"), nil},
		"a link in a VRF":     {withLink("vmac0", second, func(l *uplinks.Link) { l.VRF = 77 }, "192.0.2.100/24"), nil},
	} {
		var got []string
		for _, finding := range inspect.Findings(uplinkstest.Settings(), c.facts) {
			got = append(got, finding.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLinkInUplinkNetworkIsFollowed(t *testing.T) {
	s := uplinkstest.Settings()
	up := withLink("vmac0", uplinkstest.Facts().Links["eth1"].Index, nil, "192.0.2.100/24")
	down := withLink("vmac0", uplinkstest.Facts().Links["eth1"].Index, func(l *uplinks.Link) { l.Up = false }, "192.0.2.100/24")
	scopes := s.ScopesOf("vmac0")
	if n := len(inspect.Inspect(s, up).Update(s, down, scopes).Findings()); n != 0 {
		t.Errorf("set down: %d findings", n)
	}
	if n := len(inspect.Inspect(s, down).Update(s, up, scopes).Findings()); n != 1 {
		t.Errorf("set up: %d findings, want 1", n)
	}
}

func TestProposedIDIsFree(t *testing.T) {
	s := uplinkstest.Settings()
	s.Uplinks[0].ID = 3
	f := withLink("vmac0", uplinkstest.Facts().Links["eth1"].Index, nil, "192.0.2.100/24")
	findings := inspect.Findings(s, f)
	if len(findings) != 1 || findings[0].Remedy != `add a table for it: [uplinks.vmac0] with id = 1, interface = "vmac0", gateway = ["192.0.2.1"]` {
		t.Errorf("%v", findings)
	}
}
