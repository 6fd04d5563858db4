package inspect_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/uplinkstest"

	"github.com/google/go-cmp/cmp"
)

// proposal returns the proposed uplinks, one a line and the doubtful ones with a #, and the comments on the host.
func proposal(f uplinks.Facts) (lines []string, comments string) {
	p := inspect.Propose(f, map[string]uplinks.LinkAttributes{"wg0": {Kind: "wireguard"}, "ppp0": {Kind: "ppp"}})
	gateway := func(g uplinks.Gateway) string {
		switch {
		case g.Auto:
			return "auto"
		case g.Addr.IsValid():
			return g.Addr.String()
		}
		return "-"
	}
	for _, u := range slices.Concat(p.Settings.Uplinks, p.Doubtful) {
		line := strings.Join([]string{u.Name, u.Link, gateway(u.Gateway4), gateway(u.Gateway6)}, " ")
		if slices.ContainsFunc(p.Doubtful, u.Equal) {
			line = "# " + line
		}
		lines = append(lines, line)
	}
	return lines, strings.Join(p.Comments[""], "\n")
}

func TestPropose(t *testing.T) {
	named := func(name string, change func(*uplinks.Link)) uplinks.Link {
		l := uplinkstest.Link(change)
		l.Name = name
		return l
	}
	dynamic := uplinkstest.Hop("192.0.2.1", 100)
	dynamic.Dynamic = true
	dynamic6 := uplinkstest.Hop("fe80::1", 1024)
	dynamic6.Dynamic = true
	withoutGateway := uplinks.NextHop{Family: uplinks.IPv4, Table: uplinks.MainTable}
	inOtherTable := uplinkstest.Hop("192.0.2.1", 0)
	inOtherTable.Table = 77
	for name, c := range map[string]struct {
		links         []uplinks.Link
		gatewayRoutes []uplinks.GatewayRoute
		want          []string
	}{
		"a static default route gives its gateway":                           {links: []uplinks.Link{uplinkstest.Link(uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 0), uplinkstest.Hop("fe80::1", 1024)))}, want: []string{"eth0 eth0 192.0.2.1 fe80::1"}},
		"a dynamic default route gives auto":                                 {links: []uplinks.Link{uplinkstest.Link(onlyIPv4(uplinkstest.Defaults(dynamic)))}, want: []string{"eth0 eth0 auto auto"}},
		"an address without a default route gives auto for the other family": {links: []uplinks.Link{uplinkstest.Link(uplinkstest.Defaults(dynamic))}, want: []string{"eth0 eth0 auto -"}},
		"the same in IPv6":                      {links: []uplinks.Link{uplinkstest.Link(uplinkstest.Defaults(dynamic6))}, want: []string{"eth0 eth0 - auto"}},
		"a route without a gateway gives auto":  {links: []uplinks.Link{named("ppp0", onlyIPv4(uplinkstest.Defaults(withoutGateway)))}, want: []string{"ppp0 ppp0 auto auto"}},
		"the kernel's preference is the order":  {links: []uplinks.Link{named("eth0", uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 200))), named("eth1", uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 100)))}, want: []string{"eth1 eth1 192.0.2.1 -", "eth0 eth0 192.0.2.1 -"}},
		"main comes before other tables":        {links: []uplinks.Link{named("eth0", uplinkstest.Defaults(inOtherTable)), named("eth1", uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 5000)))}, want: []string{"eth1 eth1 192.0.2.1 -", "eth0 eth0 192.0.2.1 -"}},
		"a link without a gateway is no uplink": {links: []uplinks.Link{uplinkstest.Link(nil)}},
		"a leased address gives auto":           {links: []uplinks.Link{uplinkstest.Link(leased(uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 0))))}, want: []string{"eth0 eth0 auto -"}},
		"a lease of another network does not":   {links: []uplinks.Link{uplinkstest.Link(leased(uplinkstest.Defaults(uplinkstest.Hop("203.0.113.1", 0))))}, want: []string{"eth0 eth0 203.0.113.1 -"}},
		"a tunnel is doubtful":                  {links: []uplinks.Link{named("wg0", onlyIPv4(uplinkstest.Defaults(withoutGateway))), named("eth1", uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 100)))}, want: []string{"eth1 eth1 192.0.2.1 -", "# wg0 wg0 auto auto"}},
		"a network behind a router is doubtful": {links: []uplinks.Link{named("mgmt", nil)}, gatewayRoutes: []uplinks.GatewayRoute{{Dst: prefix("203.0.113.0/24"), Gateway: ip("192.0.2.9"), Link: "mgmt"}}, want: []string{"# mgmt mgmt 192.0.2.9 -"}},
		"names that cannot be keys": {links: []uplinks.Link{named("Eth0.100", uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 1))), named("eth0:100", uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 2))), named("main", uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 3)))},
			want: []string{"eth0_100 Eth0.100 192.0.2.1 -", "eth0_100_ eth0:100 192.0.2.1 -", "main_ main 192.0.2.1 -"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := uplinks.Facts{IPv6: true, Links: map[string]uplinks.Link{}, GatewayRoutes: c.gatewayRoutes}
			for _, l := range c.links {
				f.Links[l.Name] = l
			}
			got, _ := proposal(f)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// onlyIPv4 removes the IPv6 addresses of a link but for the link-local ones.
func onlyIPv4(change func(*uplinks.Link)) func(*uplinks.Link) {
	return func(l *uplinks.Link) {
		change(l)
		l.Addrs = slices.DeleteFunc(l.Addrs, func(a uplinks.Addr) bool { return !a.Prefix.Addr().Is4() && !a.LinkLocal })
	}
}

// leased makes the IPv4 addresses of a link expire, as those of DHCP do.
func leased(change func(*uplinks.Link)) func(*uplinks.Link) {
	return func(l *uplinks.Link) {
		change(l)
		for i, a := range l.Addrs {
			l.Addrs[i].Leased = a.Prefix.Addr().Is4()
		}
	}
}

func TestProposeNamesWhatItLeavesOut(t *testing.T) {
	learnt := uplinkstest.Hop("192.0.2.1", 100)
	learnt.Dynamic = true
	eth0 := uplinkstest.Link(uplinkstest.Defaults(learnt, uplinkstest.Hop("192.0.2.254", 200)))
	p := inspect.Propose(uplinks.Facts{IPv6: true, Links: map[string]uplinks.Link{"eth0": eth0, "eth7": {Name: "eth7", MAC: "\x02\x00\x00\x00\x00\x07"}}}, nil)
	for name, wanted := range map[string][]string{
		"":     {"Only eth0 is an uplink now", "eth7 is down"},
		"eth0": {"A second router is on it, 192.0.2.254", "No IPv6 default route by it is known: replies from 2001:db8:b::2 follow main", `"auto-ipv6"`},
	} {
		for _, want := range wanted {
			if text := strings.Join(p.Comments[name], "\n"); !strings.Contains(text, want) {
				t.Errorf("no %q for %q in:\n%s", want, name, text)
			}
		}
	}
}

func TestProposeStopsAtTheMaximumNumberOfUplinks(t *testing.T) {
	_, f := uplinkstest.ManyUplinks(40, nil)
	for name, l := range f.Links {
		if name != "lo" && name != "lan0" {
			l.Defaults = []uplinks.NextHop{{Family: uplinks.IPv4, Table: uplinks.MainTable, Gateway: netip.MustParseAddr("203.0.113.1"), Metric: uint32(l.Index)}}
			f.Links[name] = l
		}
	}
	f.GatewayRoutes = nil
	got, comments := proposal(f)
	if len(got) != 31 || !strings.Contains(comments, "eth40 is left out: the mask 0x1f00 has room for 31 uplinks.") || strings.Contains(comments, "eth31 is left out") {
		t.Errorf("%d uplinks; comments:\n%s", len(got), comments)
	}
}

func TestProposeListsLinksWithoutGateway(t *testing.T) {
	_, comments := proposal(uplinkstest.Facts())
	if !strings.Contains(comments, "eth1 (192.0.2.2) has no gateway that the kernel knows") {
		t.Error(comments)
	}
}

func TestProposeNamesPatternOfChangingName(t *testing.T) {
	f := uplinkstest.Facts()
	l := uplinkstest.Link(func(l *uplinks.Link) { l.Defaults = []uplinks.NextHop{uplinkstest.Hop("192.0.2.1", 100)} })
	l.Name = "ppp0"
	f.Links[l.Name] = l
	comments := func() string { return strings.Join(inspect.Propose(f, nil).Comments["ppp0"], "\n") }
	if want := `interface = "ppp*"`; !strings.Contains(comments(), want) {
		t.Errorf("want %s: %s", want, comments())
	}
	f.Links["ppp1"] = uplinks.Link{Name: "ppp1"}
	if strings.Contains(comments(), "*") {
		t.Error(comments())
	}
}
