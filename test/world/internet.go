package world

import (
	"fmt"
	"net/netip"
	"slices"
)

// Internet is the standard world: a client behind one ISP per uplink, a gateway with all the uplinks, and a LAN host
// behind the gateway.
//
//	client 203.0.113.10 -- isp0 -- eth0 198.51.100.2 \
//	  2001:db8:c::10    -- isp1 -- eth1 192.0.2.2     gateway -- lan0 198.18.0.1 -- eth0 198.18.0.2 lan
//	                    -- isp2 -- eth2 198.19.2.2   /
//
// The gateway's main table has one default route per family, by eth0. An uplink's addresses are reached only through
// its own ISP, and each ISP refuses packets from the gateway whose source is not in its own prefix (BCP 38).
type Internet struct {
	*World
	Client, Gateway, LAN *Host
	Client4, Client6     netip.Addr
	Uplinks              []*Uplink
	LANLink              *Link // the gateway's link to the LAN, lan0
	LAN4, LAN6           netip.Addr

	options Options
}

// The table where an ISP puts what it refuses, and the priorities of the rules that decide it.
const (
	refusedTable    = 38
	acceptPriority  = 100
	refusedPriority = 200
)

// TwoISPs returns the standard world with two uplinks.
func TwoISPs(tb TB, options ...Options) *Internet {
	tb.Helper()
	return ISPs(tb, 2, options...)
}

// ISPs returns the standard world with n uplinks.
func ISPs(tb TB, n int, options ...Options) *Internet {
	tb.Helper()
	w := New(tb)
	in := &Internet{
		World: w, Client: w.Host("cl"), Gateway: w.Host("gw"), LAN: w.Host("ln"),
		Client4: netip.MustParseAddr("203.0.113.10"), Client6: netip.MustParseAddr("2001:db8:c::10"),
		LAN4: netip.MustParseAddr("198.18.0.2"), LAN6: netip.MustParseAddr("2001:db8:f::2"),
	}
	if len(options) > 0 {
		in.options = options[0]
	}
	if !in.options.Unconfigured {
		in.Gateway.Forward()
	}
	in.Client.SetSysctl("net.ipv4.ip_forward", "1")
	in.addrs(in.Client.Link("lo"), "203.0.113.10/32", "2001:db8:c::10/128")
	in.buildLAN()
	for i := range n {
		in.Uplinks = append(in.Uplinks, in.buildUplink(i))
	}
	if n > 0 && !in.options.NoDefault && !in.options.Unconfigured {
		in.DefaultBy(in.Uplinks[0])
	}
	return in
}

// DefaultBy adds default routes by an uplink to the gateway's main table, in both families.
func (in *Internet) DefaultBy(u *Uplink) {
	in.tb.Helper()
	in.route(in.Gateway,
		Route{To: DefaultPrefix4, Via: u.Router4, Link: u.Link},
		Route{To: DefaultPrefix6, Via: u.RouterLL, Link: u.Link})
}

// Delegate makes an uplink's ISP carry one more prefix: the client reaches it through that ISP, which routes it to
// the gateway and takes it for its own.
func (in *Internet) Delegate(u *Uplink, prefix netip.Prefix) {
	in.tb.Helper()
	in.Carry(u, prefix)
	isp, source := u.Router4, in.Client4
	if prefix.Addr().Is6() {
		isp, source = u.RouterLL, in.Client6
	}
	in.Client.AddRoute(Route{To: prefix, Via: isp, Link: u.ClientLink, Src: source})
}

// Carry makes an uplink's ISP route a prefix to the gateway and take it for its own. The client does not learn of it.
func (in *Internet) Carry(u *Uplink, prefix netip.Prefix) {
	in.tb.Helper()
	gateway := u.Addr4
	if prefix.Addr().Is6() {
		gateway = u.Addr6
	}
	u.ISP.AddRoute(Route{To: prefix, Via: gateway, Link: u.Side})
	if u.Refused != nil {
		u.ISP.addRule(acceptPriority, u.Side, family(prefix.Addr()), prefix, 254)
	}
}

func (in *Internet) buildLAN() {
	in.tb.Helper()
	inside, outside := in.Join(in.Gateway, "lan0", in.LAN, "eth0")
	in.LANLink = inside
	in.addrs(inside, "198.18.0.1/24", "2001:db8:f::1/64")
	in.addrs(outside, "198.18.0.2/24", "2001:db8:f::2/64")
	in.route(in.LAN,
		Route{To: DefaultPrefix4, Via: netip.MustParseAddr("198.18.0.1"), Link: outside},
		Route{To: DefaultPrefix6, Via: netip.MustParseAddr("2001:db8:f::1"), Link: outside})
}

func (in *Internet) buildUplink(index int) *Uplink {
	in.tb.Helper()
	u := newUplink(index)
	u.ISP = in.Host(fmt.Sprintf("isp%d", index))
	u.ISP.Forward()
	u.Link, u.Wire = in.Join(in.Gateway, fmt.Sprintf("eth%d", index), u.ISP, "port0")
	u.Side = u.Wire
	if slices.Contains(in.options.Neighbours, index) {
		in.buildNeighbour(u)
	}
	if over := in.options.ReplaceLink[index]; over != nil {
		over(in, u)
	}
	in.addAddrs(u)
	if in.options.Unconfigured {
		u.Link.Down()
	}
	if slices.Contains(in.options.SecondAddr, index) {
		in.addUplinkAddrs(u.Link, u, 3)
	}
	in.buildAccess(u)
	if !in.options.Spoofable {
		in.filterSource(u)
	}
	return u
}

// Rewire makes an uplink's wire anew when it has gone, with the addresses that it had: other links with the same names.
// Routes of the gateway's by it are not made.
func (in *Internet) Rewire(u *Uplink) {
	in.tb.Helper()
	u.Link, u.Wire = in.Join(in.Gateway, fmt.Sprintf("eth%d", u.Index), u.ISP, "port0")
	u.Side = u.Wire
	in.addAddrs(u)
}

// addAddrs gives both ends of an uplink their addresses.
func (in *Internet) addAddrs(u *Uplink) {
	in.tb.Helper()
	in.linkLocal(u.Side, "fe80::1")
	in.addUplinkAddrs(u.Side, u, 1)
	if in.options.Unconfigured {
		return
	}
	in.linkLocal(u.Link, "fe80::2")
	in.addUplinkAddrs(u.Link, u, 2)
}

// addUplinkAddrs gives a link the addresses with that number in the uplink's prefixes.
func (in *Internet) addUplinkAddrs(l *Link, u *Uplink, number byte) {
	in.tb.Helper()
	v4, v6 := u.hostAddrs(number)
	in.addrs(l, netip.PrefixFrom(v4, 24).String(), netip.PrefixFrom(v6, 64).String())
}
