package rtnl

import (
	"replypath/uplinks/rpdb"

	"golang.org/x/sys/unix"
)

// toPolicyRoute returns the route in the form of the look-up simulation. names has the names of links by index.
func toPolicyRoute(l *rawRoute, names map[int]string) rpdb.Route {
	r := rpdb.Route{Table: l.table, Type: l.routeType, Dst: l.dst, From: l.from, TOS: l.tos, Metric: l.metric, Protocol: l.protocol,
		Src: l.src, Pref: rpdb.Pref(l.pref), Nexthop: l.nexthop}
	for h := range l.hops() {
		r.Hops = append(r.Hops, rpdb.Hop{Link: names[h.link], Via: h.via, OnLink: h.flags&unix.RTNH_F_ONLINK != 0,
			Dead: h.flags&unix.RTNH_F_DEAD != 0, Weight: h.weight})
	}
	return r
}
