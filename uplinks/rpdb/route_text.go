package rpdb

import (
	"fmt"
	"strings"

	"replypath/uplinks"
)

var typeNames = map[uplinks.RouteType]string{Local: "local", Broadcast: "broadcast", Anycast: "anycast", Multicast: "multicast",
	BlackholeRoute: "blackhole", uplinks.Unreachable: "unreachable", ProhibitRoute: "prohibit", Throw: "throw"}

// String returns the route as ip-route(8) prints it, without table and protocol.
func (r *Route) String() string {
	w := []string{r.Target()}
	if r.From.IsValid() {
		w = append(w, "from "+prefixText(r.From))
	}
	if r.TOS != 0 {
		w = append(w, fmt.Sprintf("tos %#x", r.TOS))
	}
	if refusals[r.Type] == 0 {
		w = append(w, r.hopsText())
	}
	if r.Src.IsValid() {
		w = append(w, "src "+r.Src.String())
	}
	if r.Metric != 0 {
		w = append(w, fmt.Sprintf("metric %d", r.Metric))
	}
	return strings.Join(w, " ")
}

// Target returns the type and destination of the route, which identify it in its table to ip-route(8).
func (r *Route) Target() string {
	target := "default"
	if r.Dst.Bits() != 0 {
		target = prefixText(r.Dst)
	}
	if r.Type != uplinks.Unicast {
		return r.Kind() + " " + target
	}
	return target
}

// Kind returns the name of the type of the route.
func (r *Route) Kind() string {
	if r.Type == uplinks.Unicast {
		return "unicast"
	}
	if name, ok := typeNames[r.Type]; ok {
		return name
	}
	return fmt.Sprintf("type %d", r.Type)
}

// hopsText returns the next hops as ip-route(8) prints them.
func (r *Route) hopsText() string {
	var w []string
	if r.Nexthop != 0 {
		w = append(w, fmt.Sprintf("nhid %d", r.Nexthop))
	}
	for _, h := range r.Hops {
		if len(r.Hops) > 1 {
			w = append(w, "nexthop")
		}
		w = append(w, h.String())
		if len(r.Hops) > 1 {
			w = append(w, fmt.Sprintf("weight %d", h.Weight))
		}
	}
	return strings.Join(w, " ")
}

// String returns the next hop as ip-route(8) prints it.
func (h Hop) String() string {
	s := "dev " + h.Link
	if h.Via.IsValid() {
		s = fmt.Sprintf("via %s %s", h.Via, s)
	}
	if h.OnLink {
		s += " onlink"
	}
	if h.Dead {
		s += " dead"
	}
	return s
}
