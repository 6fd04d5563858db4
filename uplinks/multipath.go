package uplinks

import (
	"fmt"
	"net/netip"
)

// MaxHops is the largest number of next hops of a route. With more than about 130 the kernel's dump of all routes ends before
// such a route, and other programs see no routes behind it.
const MaxHops = 100

// Hop is one of several next hops of a route.
type Hop struct {
	Gateway netip.Addr // invalid: none (point-to-point)
	Link    string
	Weight  int // 1 to 255
	OnLink  bool
}

// spec returns the hop of a route in the family as arguments of ip-route(8).
func (h Hop) spec(f Family) string {
	s := "nexthop "
	if h.Gateway.IsValid() {
		if FamilyOf(h.Gateway) != f {
			s += "via inet6 " + h.Gateway.String() + " "
		} else {
			s += "via " + h.Gateway.String() + " "
		}
	}
	s += fmt.Sprintf("dev %s weight %d", h.Link, h.Weight)
	if h.OnLink {
		s += " onlink"
	}
	return s
}
