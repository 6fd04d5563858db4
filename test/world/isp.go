package world

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// buildAccess makes the hop between the ISP and the client. It has no addresses of its own: both ends speak with the
// addresses they have elsewhere.
func (in *Internet) buildAccess(u *Uplink) {
	in.tb.Helper()
	u.AccessLink, u.ClientLink = in.Join(u.ISP, "access0", in.Client, fmt.Sprintf("isp%d", u.Index))
	in.linkLocal(u.AccessLink, "fe80::1")
	in.linkLocal(u.ClientLink, "fe80::10")
	narrow := in.options.Narrow[u.Index]
	in.route(u.ISP,
		Route{To: netip.PrefixFrom(in.Client4, 32), Link: u.AccessLink, MTU: narrow},
		Route{To: netip.PrefixFrom(in.Client6, 128), Via: netip.MustParseAddr("fe80::10"), Link: u.AccessLink, MTU: narrow})
	in.route(in.Client,
		Route{To: u.Prefix4, Via: u.Router4, Link: u.ClientLink, Src: in.Client4},
		Route{To: u.Prefix6, Via: u.RouterLL, Link: u.ClientLink, Src: in.Client6})
}

// filterSource makes the ISP send what comes from the gateway with a foreign source into a link that leads nowhere, where
// it can be recorded.
func (in *Internet) filterSource(u *Uplink) {
	in.tb.Helper()
	refused, _ := in.Join(u.ISP, "refused0", u.ISP, "nowhere0")
	u.Refused = refused
	u.ISP.must(u.ISP.rtnl.LinkSetARPOff(refused.handle()), "set refused0 arp off")
	u.ISP.SetSysctl("net.ipv6.conf.nowhere0.disable_ipv6", "1")
	in.route(u.ISP,
		Route{To: DefaultPrefix4, Link: refused, Table: refusedTable},
		Route{To: DefaultPrefix6, Link: refused, Table: refusedTable})
	u.ISP.addRule(acceptPriority, u.Side, unix.AF_INET, u.Prefix4, unix.RT_TABLE_MAIN)
	u.ISP.addRule(acceptPriority, u.Side, unix.AF_INET6, u.Prefix6, unix.RT_TABLE_MAIN)
	u.ISP.addRule(refusedPriority, u.Side, unix.AF_INET, netip.Prefix{}, refusedTable)
	u.ISP.addRule(refusedPriority, u.Side, unix.AF_INET6, netip.Prefix{}, refusedTable)
}

// buildNeighbour makes the ISP's side of the uplink a bridge, with a second port where the neighbour is.
func (in *Internet) buildNeighbour(u *Uplink) {
	in.tb.Helper()
	u.Neighbour = in.Host(fmt.Sprintf("nb%d", u.Index))
	port, link := in.Join(u.ISP, "port1", u.Neighbour, "eth0")
	u.Side = u.ISP.Bridge("net0", u.Wire, port)
	in.addUplinkAddrs(link, u, 77)
	in.route(u.Neighbour,
		Route{To: DefaultPrefix4, Via: u.Router4, Link: link},
		Route{To: DefaultPrefix6, Via: u.RouterLL, Link: link})
}

// addrs adds addresses to a link, the IPv6 ones only in a world with IPv6.
func (in *Internet) addrs(l *Link, prefixes ...string) {
	in.tb.Helper()
	for _, p := range prefixes {
		if prefix := netip.MustParsePrefix(p); in.has(prefix.Addr()) {
			l.addr(prefix)
		}
	}
}

// route adds routes to a host, the IPv6 ones only in a world with IPv6.
func (in *Internet) route(h *Host, routes ...Route) {
	in.tb.Helper()
	for _, r := range routes {
		if in.has(r.To.Addr()) {
			h.AddRoute(r)
		}
	}
}

func (in *Internet) linkLocal(l *Link, address string) {
	in.tb.Helper()
	if !in.options.NoIPv6 {
		l.LinkLocal(address)
	}
}

func (in *Internet) has(a netip.Addr) bool { return a.Is4() || !in.options.NoIPv6 }
