package inspect_test

import (
	"net/netip"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/uplinkstest"

	"github.com/google/go-cmp/cmp"
)

// gatewayRoutes returns routes through a router on the link.
func gatewayRoutes(link string, dsts ...string) (all []uplinks.GatewayRoute) {
	for _, d := range dsts {
		all = append(all, uplinks.GatewayRoute{Dst: prefix(d), Gateway: ip("198.18.0.9"), Link: link})
	}
	return all
}

var findingCases = map[string]struct {
	change func(*uplinks.Settings, *uplinks.Facts)
	want   []string
}{
	"all is well": {func(*uplinks.Settings, *uplinks.Facts) {}, nil},
	"both backends are in use": {func(_ *uplinks.Settings, f *uplinks.Facts) { f.MixedBackends = true }, []string{
		`both iptables backends hold rules of other programs; replypath uses nft: move the other rules to one backend, or choose with backend = "nft" or "legacy"`}},
	"main has an unreachable default route": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.UnreachableDefault = map[uplinks.Family]bool{uplinks.IPv6: true}
	}, []string{
		"main has an unreachable, blackhole or prohibit default route for IPv6: without a better default route it refuses replies before the uplinks' tables are looked up: move that route to the table default, which is looked up last: ip -6 route add unreachable default table default, then delete it from main"}},
	"an absent link": {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Uplinks[1].Link = "wwan0" }, []string{
		"uplink lte: there is no link wwan0 yet: apply again when the link exists, or correct interface"}},
	"a link is in a VRF": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		l := f.Links["eth1"]
		l.VRF = 77
		f.Links["eth1"] = l
	}, []string{
		"uplink lte: eth1 is in a VRF, whose table 77 the kernel looks up before replypath's rules: the uplink is not managed: take the link out of the VRF (ip link set eth1 nomaster), or remove the uplink from the configuration: sockets in a VRF reply by its table, with a default route there (ip route add default via GATEWAY dev eth1 table 77)"}},
	"an ipvlan whose packets are routed by the link below": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		l := f.Links["eth1"]
		l.Rerouted, l.Kind = true, "ipvlan"
		f.Links["eth1"] = l
	}, []string{
		"uplink lte: IPv4 is left out: eth1 is an ipvlan in mode l3, whose packets the kernel routes once more, by the link below, without the uplinks' tables: ip link set dev eth1 type ipvlan mode l2",
		"uplink lte: IPv6 is left out: eth1 is an ipvlan in mode l3, whose packets the kernel routes once more, by the link below, without the uplinks' tables: ip link set dev eth1 type ipvlan mode l2"}},
	"a port of a bridge": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.Links["br1"] = uplinks.Link{Name: "br1", Index: 77, Kind: "bridge"}
		l := f.Links["eth1"]
		l.Master = 77
		f.Links["eth1"] = l
	}, []string{
		`uplink lte: eth1 is a port of the bridge br1, by which its packets come in: the uplink is not managed: write interface = "br1" instead of "eth1"`}},
	"a port of a bond": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.Links["bond0"] = uplinks.Link{Name: "bond0", Index: 77, Kind: "bond"}
		l := f.Links["eth1"]
		l.Master = 77
		f.Links["eth1"] = l
	}, []string{
		`uplink lte: eth1 is a port of the bond bond0, by which its packets come in: the uplink is not managed: write interface = "bond0" instead of "eth1"`}},
	"gateways in the networks of another uplink": {func(s *uplinks.Settings, _ *uplinks.Facts) {
		s.Uplinks[1].Gateway4, s.Uplinks[1].Gateway6 = uplinks.Gateway{Addr: ip("198.51.100.1")}, uplinks.Gateway{Addr: ip("2001:db8:a::1")}
	}, []string{
		`uplink lte: IPv4 is left out: its gateway 198.51.100.1 is in 198.51.100.0/24, a network of eth0 (uplink fibre), and in none of eth1: write the address of the router on eth1, or "auto", as a gateway of lte`,
		`uplink lte: IPv6 is left out: its gateway 2001:db8:a::1 is in 2001:db8:a::/64, a network of eth0 (uplink fibre), and in none of eth1: write the address of the router on eth1, or "auto", as a gateway of lte`}},
	"a refused route": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.Refused = map[uplinks.PathKey]string{{Uplink: "lte", Family: uplinks.IPv6}: "ip -6 route replace ...: invalid argument"}
	}, []string{
		"uplink lte: IPv6 is left out: ip -6 route replace ...: invalid argument: correct the gateway and the interface of lte"}},
	"another router in main": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		l := f.Links["eth1"]
		l.Defaults = []uplinks.NextHop{uplinkstest.Hop("192.0.2.254", 700), uplinkstest.Hop("2001:db8:b::1", 2000)}
		f.Links["eth1"] = l
	}, []string{
		`uplink lte: its IPv4 gateway is 192.0.2.1, but main leaves by another router on eth1: 192.0.2.254: if that is the provider's router, write "192.0.2.254" or "auto"; otherwise delete main's default route by it`}},
	"two routers in main": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		l := f.Links["eth1"]
		l.Defaults = []uplinks.NextHop{uplinkstest.Hop("192.0.2.254", 700), uplinkstest.Hop("192.0.2.1", 800)}
		f.Links["eth1"] = l
	}, nil},
	"a gateway behind a router": {func(s *uplinks.Settings, f *uplinks.Facts) {
		s.Uplinks[1].Gateway4 = uplinks.Gateway{Addr: ip("203.0.113.1")}
		f.GatewayRoutes = append(f.GatewayRoutes, uplinks.GatewayRoute{Dst: prefix("203.0.113.0/24"), Gateway: ip("198.51.100.1"), Link: "eth0"})
	}, []string{
		"uplink lte: its IPv4 gateway 203.0.113.1 is in no network of eth1, and main reaches it through a router: 203.0.113.0/24 via 198.51.100.1 dev eth0: write the address of the router on eth1"}},
	"a link without addresses": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		l := f.Links["eth1"]
		l.Addrs, l.Connected = []uplinks.Addr{{Prefix: prefix("fe80::2/64"), LinkLocal: true}}, nil
		f.Links["eth1"] = l
	}, []string{
		"uplink lte: eth1 has no IPv4 address and no global IPv6 address: no request to this host comes in by it: give eth1 its address, or correct interface"}},
	"a link without addresses, for hosts behind this one": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		l := f.Links["eth1"]
		l.Addrs, l.Connected, l.Defaults = nil, nil, []uplinks.NextHop{uplinkstest.Hop("fe80::1", 2000)}
		f.Links["eth1"] = l
	}, nil},
	"a family without a gateway": {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Uplinks[1].Gateway6 = uplinks.Gateway{} }, []string{
		`uplink lte: eth1 has the address 2001:db8:b::2, but no IPv6 gateway is given: IPv6 replies are left to the main table: add the gateway's address, or "auto", to the gateways of lte`}},
	"a gateway that is not known": {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Uplinks[1].Gateway4 = uplinks.Gateway{Auto: true} }, []string{
		"uplink lte: no IPv4 gateway is known: the kernel has no default route by eth1: write the gateway's address in the configuration of lte"}},
	"a kernel without IPv6": {func(s *uplinks.Settings, f *uplinks.Facts) { f.IPv6, s.Uplinks[1].Gateway6 = false, uplinks.Gateway{} }, nil},
	"a management network": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.GatewayRoutes = append(f.GatewayRoutes, gatewayRoutes("lan0", "203.0.113.0/24", "0.0.0.0/0", "198.19.0.0/24", "198.19.1.0/24", "198.19.2.0/24")...)
	}, []string{
		"lan0 is neither an uplink nor inside, and main reaches networks through a gateway by it (203.0.113.0/24 via 198.18.0.9, default via 198.18.0.9, 198.19.0.0/24 via 198.18.0.9 and 2 more): strict rp_filter drops packets from there that come in by an uplink, and without it the replies leave by lan0: " +
			`make it an uplink ([uplinks.NAME] with interface = "lan0"), or, if a router behind it is on your side, add it to inside = ["lan0"]`}},
	"another router on an uplink's link": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.GatewayRoutes = append(f.GatewayRoutes, gatewayRoutes("eth1", "203.0.113.0/24", "198.19.0.0/24", "0.0.0.0/1")...)
	}, []string{
		"uplink lte: main reaches networks by eth1 through a router that is not its gateway (203.0.113.0/24 via 198.18.0.9, 198.19.0.0/24 via 198.18.0.9): replies to them go to the gateway: " +
			"where the gateway does not forward them, add the route to the uplink's table too, where it stays: ip route add 203.0.113.0/24 via 198.18.0.9 dev eth1 table 8202"}},
	"another router that the uplink's table knows": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.GatewayRoutes = append(f.GatewayRoutes, gatewayRoutes("eth1", "203.0.113.0/24")...)
		l := f.Links["eth1"]
		l.ForeignPrefixes = []netip.Prefix{prefix("203.0.113.0/24")}
		f.Links["eth1"] = l
	}, nil},
	"networks behind the gateway": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.GatewayRoutes = append(f.GatewayRoutes, uplinks.GatewayRoute{Dst: prefix("203.0.113.0/24"), Gateway: ip("192.0.2.1"), Link: "eth1"})
	}, nil},
	"a VPN takes everything": {func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.GatewayRoutes = append(f.GatewayRoutes, gatewayRoutes("lan0", "0.0.0.0/1", "128.0.0.0/1")...)
	}, nil},
	"a LAN with a router behind it": {func(s *uplinks.Settings, f *uplinks.Facts) {
		f.GatewayRoutes, s.Inside = append(f.GatewayRoutes, gatewayRoutes("lan0", "203.0.113.0/24")...), []string{"lan0"}
	}, nil},
}

func TestFindings(t *testing.T) {
	for name, c := range findingCases {
		t.Run(name, func(t *testing.T) {
			s, f := uplinkstest.Settings(), uplinkstest.Facts()
			c.change(&s, &f)
			var got []string
			for _, finding := range inspect.Findings(s, f) {
				got = append(got, finding.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPartialInspectionMatchesFullInspection updates an inspection after a change of one link, and after its end.
func TestPartialInspectionMatchesFullInspection(t *testing.T) {
	s := uplinkstest.Settings()
	for name, change := range map[string]func(*uplinks.Facts, *uplinks.Link){
		"nothing":          func(*uplinks.Facts, *uplinks.Link) {},
		"in a VRF":         func(_ *uplinks.Facts, l *uplinks.Link) { l.VRF = 77 },
		"without gateways": func(_ *uplinks.Facts, l *uplinks.Link) { l.Defaults = nil },
		"the host's own address is its gateway": func(_ *uplinks.Facts, l *uplinks.Link) {
			l.Defaults = []uplinks.NextHop{{Family: uplinks.IPv4, Table: uplinks.MainTable, Gateway: ip("192.0.2.2")}}
		},
		"a port of a bridge": func(_ *uplinks.Facts, l *uplinks.Link) { l.Master = 1 },
		"without addresses":  func(_ *uplinks.Facts, l *uplinks.Link) { l.Addrs, l.Defaults = nil, nil },
		"with another router": func(_ *uplinks.Facts, l *uplinks.Link) {
			l.Defaults = []uplinks.NextHop{{Family: uplinks.IPv4, Table: uplinks.MainTable, Gateway: ip("192.0.2.254")}}
		},
		"with a router behind it": func(f *uplinks.Facts, l *uplinks.Link) {
			f.GatewayRoutes = append(f.GatewayRoutes, uplinks.GatewayRoute{Dst: prefix("203.0.113.0/24"), Gateway: ip("198.18.0.9"), Link: l.Name})
		},
	} {
		for _, link := range []string{"eth0", "eth1", "lan0"} {
			before, after := uplinkstest.Facts(), uplinkstest.Facts()
			l := after.Links[link]
			change(&after, &l)
			after.Links[link] = l
			part := uplinks.Facts{Scopes: s.ScopesOf(link), Links: map[string]uplinks.Link{link: l}}
			for _, r := range after.GatewayRoutes {
				if r.Link == link {
					part.GatewayRoutes = append(part.GatewayRoutes, r)
				}
			}
			whole := before.Merge(part)
			got := inspect.Inspect(s, before).Update(s, whole, part.Scopes).Findings()
			if want := inspect.Findings(s, after); !slices.Equal(got, want) {
				t.Errorf("%s %s: updated findings\n%v\nwant\n%v", link, name, got, want)
			}
			if reverted := inspect.Inspect(s, after).Update(s, before, part.Scopes).Findings(); len(reverted) != 0 {
				t.Errorf("%s no longer %s: updated findings %v", link, name, reverted)
			}
		}
	}
}
