package uplinks

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"replypath/marks"
)

// The rules know a router's hardware address some milliseconds after the kernel's neighbour table. A link with several uplinks has a
// classifier at ingress, a BPF program that compares the senders of frames with that table itself: a packet gets the mark of the router
// whose entry has its sender, if the rules do not know it as that router's. The rules take that mark for the connection's.

// RouterClassifier is the classifier of a link. One that another program has damaged has no routers. NewRouterClassifier sorts the
// lists, which Equal compares.
type RouterClassifier struct {
	Index   int // of the link
	Link    string
	Mask    marks.Mask
	IPv4    bool // packets of IPv4 get marks
	IPv6    bool // packets of IPv6 get marks
	Routers []ClassifiedRouter
	Known   []KnownRouter
}

// ClassifiedRouter is a router that a classifier looks for: its address, and the table that leads to it.
type ClassifiedRouter struct {
	Mark  marks.Mark
	Table Table
	Addr  netip.Addr
}

// KnownRouter is a hardware address that the rules know, of the uplink with the mark; 0: the configuration names it, and the neighbour
// table does not matter.
type KnownRouter struct {
	Mark marks.Mark
	MAC  string
}

// maxClassified is the largest number of routers that a classifier looks for: each has instructions of its own.
const maxClassified = 64

// RouterClassifiers returns the classifiers of the links with several uplinks, but of links that forward nothing: there the kernel
// tells no program an entry.
func (s Settings) RouterClassifiers(f Facts) (all []RouterClassifier) {
	if !s.HasSharedLinks() {
		return nil
	}
	routers, known := map[string][]ClassifiedRouter{}, map[string][]KnownRouter{}
	number, macs := map[string]int{}, s.RoutersOf(f)
	for _, u := range s.Uplinks {
		if _, exists := f.LinkOf(u); !exists || u.found {
			continue
		}
		number[u.Link]++
		routers[u.Link] = append(routers[u.Link], s.classifiedRouters(f, u)...)
		for _, mac := range macs[u.Name] {
			k := KnownRouter{s.Mark(u), mac}
			if slices.Contains(u.MACs, mac) {
				k.Mark = 0
			}
			if !slices.ContainsFunc(known[u.Link], func(o KnownRouter) bool { return o.MAC == mac }) { // in the rules the first one has it
				known[u.Link] = append(known[u.Link], k)
			}
		}
	}
	for link, found := range routers {
		if number[link] < 2 || len(found) == 0 {
			continue
		}
		c := NewRouterClassifier(f, f.Links[link].Index, s.Mask, found[:min(len(found), maxClassified)], known[link])
		c.IPv4, c.IPv6 = s.marksFramesOf(link, f, IPv4), s.marksFramesOf(link, f, IPv6)
		all = append(all, c)
	}
	return all
}

// classifiedRouters returns the routers of the uplink whose entries the kernel can look up in its table.
func (s Settings) classifiedRouters(f Facts, u Uplink) (all []ClassifiedRouter) {
	l, _ := f.LinkOf(u)
	for _, family := range f.Families() {
		if !u.Manages(family) || f.NotForwarding[PathKey{u.Name, family}] {
			continue
		}
		addrs := slices.DeleteFunc(slices.Clone(u.Routers), func(a netip.Addr) bool { return FamilyOf(a) != family || a.IsLinkLocalUnicast() })
		if hop, known := l.NextHop(u.Gateway(family), family); known && hop.Gateway.IsValid() && FamilyOf(hop.Gateway) == family {
			addrs = append([]netip.Addr{hop.Gateway}, addrs...)
		}
		for i, a := range addrs {
			if !slices.Contains(addrs[:i], a) {
				all = append(all, ClassifiedRouter{s.Mark(u), s.Table(u), a})
			}
		}
	}
	return all
}

// marksFramesOf reports whether there are chains that take the marks of packets of the family that come in by the link.
func (s Settings) marksFramesOf(link string, f Facts, family Family) bool {
	_, has := f.Firewalls[family]
	return has && slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Link == link && u.Manages(family) && !u.found })
}

// NewRouterClassifier returns a classifier that the link with the index has.
func NewRouterClassifier(f Facts, index int, mask marks.Mask, routers []ClassifiedRouter, known []KnownRouter) RouterClassifier {
	c := RouterClassifier{Index: index, Mask: mask, Routers: slices.Clone(routers), Known: slices.Clone(known)}
	c.Link, _ = f.LinkName(index)
	for i, r := range c.Routers {
		c.Routers[i].Addr = r.Addr.WithZone("")
	}
	slices.SortFunc(c.Routers, compareClassifiedRouters)
	slices.SortFunc(c.Known, func(a, b KnownRouter) int { return cmp.Or(cmp.Compare(a.Mark, b.Mark), strings.Compare(a.MAC, b.MAC)) })
	return c
}

// compareClassifiedRouters sorts as plans print them: by text.
func compareClassifiedRouters(a, b ClassifiedRouter) int {
	return cmp.Or(strings.Compare(a.Mark.String(), b.Mark.String()), cmp.Compare(a.Table, b.Table), strings.Compare(a.Addr.String(), b.Addr.String()))
}

// Equal reports whether the classifiers do the same at the same link.
func (c RouterClassifier) Equal(other RouterClassifier) bool {
	return c.Index == other.Index && c.Link == other.Link && c.Mask == other.Mask && c.IPv4 == other.IPv4 && c.IPv6 == other.IPv6 &&
		slices.Equal(c.Routers, other.Routers) && slices.Equal(c.Known, other.Known)
}

// classifiedLinks returns the links whose packets may have the mark of a router when they come in.
func (s Settings) classifiedLinks(f Facts) map[string]bool {
	all := map[string]bool{}
	for _, c := range s.acceptedClassifiers(f) {
		all[c.Link] = true
	}
	return all
}

// acceptedClassifiers returns those of RouterClassifiers that the kernel does not refuse.
func (s Settings) acceptedClassifiers(f Facts) []RouterClassifier {
	return withoutRefused(s.RouterClassifiers(f), f.RouterClassifierRefused, func(c RouterClassifier) int { return c.Index })
}

// addRouterClassifiers adds the classifiers.
func addRouterClassifiers(want State, s Settings, f Facts) {
	for _, c := range s.acceptedClassifiers(f) {
		want.RouterClassifiers[c.Index] = c
	}
}

// classifierSteps returns the steps for the classifiers: one that is there no more gives no mark when the chains change, and one that
// is gives marks when the chains are there that take them.
func classifierSteps(want, have State) (remove, set Plan) {
	missing := differing(want.RouterClassifiers, have.RouterClassifiers, compareClassifiers)
	gone := differing(have.RouterClassifiers, want.RouterClassifiers, compareClassifiers)
	for _, old := range gone {
		i := slices.IndexFunc(missing, func(c RouterClassifier) bool { return c.Index == old.Index })
		if i < 0 || missing[i].Mask != old.Mask || len(old.Routers) == 0 {
			remove = append(remove, DelRouterClassifier{Classifier: old})
		}
	}
	for _, c := range missing {
		if len(c.Routers) > 0 { // to what was damaged before no change goes back
			set = append(set, SetRouterClassifier{Classifier: c})
		}
	}
	return remove, set
}

func compareClassifiers(a, b RouterClassifier) int {
	return cmp.Or(strings.Compare(a.Link, b.Link), cmp.Compare(a.Index, b.Index))
}
