package world

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Route is a route of a host's table.
type Route struct {
	To    netip.Prefix
	Via   netip.Addr // none: directly on the link
	Link  *Link
	Src   netip.Addr // the preferred source, if any
	MTU   int        // the path's MTU, also for packets that are forwarded; 0: the link's
	Table int        // 0: main
}

// DefaultPrefix4 and DefaultPrefix6 are where default routes lead to.
var (
	DefaultPrefix4 = netip.MustParsePrefix("0.0.0.0/0")
	DefaultPrefix6 = netip.MustParsePrefix("::/0")
)

// AddRoute adds a route. The gateway need not be in a prefix of the link.
func (h *Host) AddRoute(r Route) {
	h.world.tb.Helper()
	route := &netlink.Route{
		Family: family(r.To.Addr()), Type: unix.RTN_UNICAST, Protocol: unix.RTPROT_STATIC, Table: r.Table,
		Dst: ipNet(r.To), LinkIndex: r.Link.Index, Src: ip(r.Src), MTU: r.MTU, MTULock: r.MTU != 0,
	}
	switch {
	case r.Via.IsValid():
		route.Gw = ip(r.Via)
		route.Flags = int(netlink.FLAG_ONLINK)
	case r.To.Addr().Is4():
		route.Scope = netlink.SCOPE_LINK
	}
	h.must(h.rtnl.RouteAdd(route), "route add %v", r)
}

// String prints the route as ip(8) would take it.
func (r Route) String() string {
	s := r.To.String()
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	s += " dev " + r.Link.Name
	if r.Src.IsValid() {
		s += " src " + r.Src.String()
	}
	if r.MTU != 0 {
		s += fmt.Sprintf(" mtu lock %d", r.MTU)
	}
	if r.Table != 0 {
		s += fmt.Sprintf(" table %d", r.Table)
	}
	return s
}

// addRule adds "iif LINK [from PREFIX] lookup TABLE"; a prefix that is not valid stands for everything of the family.
func (h *Host) addRule(priority int, iif *Link, fam int, from netip.Prefix, table int) {
	h.world.tb.Helper()
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.IifName, rule.Table = fam, priority, iif.Name, table
	if from.IsValid() {
		rule.Src = ipNet(from)
	}
	h.must(h.rtnl.RuleAdd(rule), "rule add pref %d iif %s from %v lookup %d", priority, iif.Name, from, table)
}
