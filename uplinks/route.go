package uplinks

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// RouteKey is what the kernel tells routes apart by. Nth counts those that are alike in all the rest, in the order in
// which the kernel asks them; the first wins.
type RouteKey struct {
	Family Family
	Table  Table
	Dst    netip.Prefix
	Metric uint32
	Nth    int
}

// Route is a route in a table of ours. Two routes are the same exactly when they are ==.
type Route struct {
	Type     RouteType
	Gateway  netip.Addr   // invalid: none
	Link     string       // empty for an unreachable route
	Src      netip.Addr   // invalid: the kernel chooses
	OnLink   bool         // the gateway is reached directly though no prefix of the link holds it
	MTU      uint32       // bytes; 0: the link's
	AdvMSS   uint32       // bytes; 0: from the MTU
	Protocol uint8        // Protocol, unless it is somebody else's
	TOS      uint8        // only for packets with this type of service; 0: for all
	From     netip.Prefix // only for packets from there (IPv6); invalid: for all
	Other    string       // what else there is that we never write
}

// RouteType is a route's type; the numbers are the kernel's (rtnetlink(7), rtm_type).
type RouteType uint8

// The types that we use.
const (
	Unicast     RouteType = 1
	Unreachable RouteType = 7
)

func (f Family) metric() uint32 {
	if f == IPv6 {
		return metric6
	}
	return metric4
}

// spec prints the route as ip-route(8) takes it, without "ip route replace".
func (r Route) spec(k RouteKey) string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if r.Type == Unreachable {
		add("unreachable")
	} else if r.Type != Unicast {
		add("type %d", r.Type)
	}
	if k.Dst == k.Family.DefaultPrefix() {
		add("default")
	} else {
		add("%s", k.Dst)
	}
	if r.Gateway.IsValid() {
		via := ""
		if FamilyOf(r.Gateway) != k.Family {
			via = "inet6 "
		}
		add("via %s%s", via, r.Gateway)
	}
	if r.Link != "" {
		add("dev %s", r.Link)
	}
	if r.From.IsValid() {
		add("from %s", r.From)
	}
	if r.TOS != 0 {
		add("tos %#x", r.TOS)
	}
	if k.Family == IPv4 && r.Type == Unicast && !r.Gateway.IsValid() && r.Other == "" {
		add("scope link")
	}
	if r.Src.IsValid() {
		add("src %s", r.Src)
	}
	add("table %s", k.Table)
	if k.Metric != 0 {
		add("metric %d", k.Metric)
	}
	if r.MTU != 0 {
		add("mtu %d", r.MTU)
	}
	if r.AdvMSS != 0 {
		add("advmss %d", r.AdvMSS)
	}
	if r.OnLink {
		add("onlink")
	}
	add("protocol %d", r.Protocol)
	return strings.Join(w, " ")
}

// compareRoutes puts a table's connected prefixes before what is reached through them.
func compareRoutes(a, b *RouteKey) int {
	if a.Family != b.Family || a.Table != b.Table {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Table, b.Table))
	}
	return cmp.Or(
		-cmp.Compare(a.Dst.Bits(), b.Dst.Bits()),
		a.Dst.Addr().Compare(b.Dst.Addr()),
		cmp.Compare(a.Metric, b.Metric),
		cmp.Compare(a.Nth, b.Nth),
	)
}
