package uplinks

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
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

// Hops are the next hops of a multipath route in order, each as ip-route(8) writes it: "nexthop via 192.0.2.1 dev eth0 weight
// 3". It is a string so that routes are comparable by ==; empty: the route has one next hop, or none.
type Hops string

// NewHops returns the hops of a route in the family.
func NewHops(f Family, hops []Hop) Hops {
	words := make([]string, len(hops))
	for i, h := range hops {
		words[i] = h.spec(f)
	}
	return Hops(strings.Join(words, " "))
}

// spec returns the hop as arguments of ip-route(8).
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

// List returns the hops.
func (h Hops) List() (all []Hop) {
	for text := range strings.SplitSeq(string(h), "nexthop ") {
		if text == "" {
			continue
		}
		var hop Hop
		words := strings.Fields(text)
		for i, word := range words {
			next := words[min(i+1, len(words)-1)]
			switch word {
			case "via", "inet6":
				if a, err := netip.ParseAddr(next); err == nil {
					hop.Gateway = a
				}
			case "dev":
				hop.Link = next
			case "weight":
				hop.Weight, _ = strconv.Atoi(next)
			case "onlink":
				hop.OnLink = true
			}
		}
		all = append(all, hop)
	}
	return all
}
