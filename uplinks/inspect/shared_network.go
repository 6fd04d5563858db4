package inspect

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"replypath/uplinks"
)

// sharedNetwork is an address in the network of an uplink, on another link by which packets come in: a macvlan of keepalived
// (use_vmac), a VLAN or a bridge on the uplink's link, a second card in the provider's network. Whether that matters
// depends on the state of links and routes.
type sharedNetwork struct {
	address netip.Addr
	link    string
	uplink  int  // position in the settings
	stacked bool // link is stacked on that of the uplink
}

// sharedNetworks returns the addresses of links that are no uplinks in networks of uplinks. A link that is not stacked on
// the uplink must have the whole network: a part of it may well be inside.
func sharedNetworks(s uplinks.Settings, f uplinks.Facts) (all []sharedNetwork) {
	isUplink := map[string]bool{}
	for _, u := range s.Uplinks {
		isUplink[u.Link] = true
	}
	networks := map[netip.Prefix][]int{}
	var lengths []int
	for i, u := range s.Uplinks {
		l, _ := f.LinkOf(u)
		for n := range l.Networks() {
			networks[n] = append(networks[n], i)
			lengths = append(lengths, n.Bits())
		}
	}
	slices.Sort(lengths)
	lengths = slices.Compact(lengths)
	names := linkNames(f)
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		l := f.Links[name]
		if isUplink[name] || l.VRF != 0 || l.Isolated {
			continue
		}
		below := linksBelow(f, names, l)
		for _, a := range l.Addrs {
			for _, length := range lengths {
				n := netip.PrefixFrom(a.Prefix.Addr(), length).Masked()
				for _, i := range networks[n] {
					stacked := below[s.Uplinks[i].Link]
					if stacked || a.Prefix.Masked() == n {
						all = append(all, sharedNetwork{a.Prefix.Addr(), name, i, stacked})
					}
				}
			}
		}
	}
	return all
}

// linkNames returns the links' names by index.
func linkNames(f uplinks.Facts) map[int]string {
	names := make(map[int]string, len(f.Links))
	for name, l := range f.Links {
		names[l.Index] = name
	}
	return names
}

// linksBelow returns the links that a link is stacked on, directly or not.
func linksBelow(f uplinks.Facts, names map[int]string, l uplinks.Link) map[string]bool {
	below := map[string]bool{}
	for l.Lower != 0 && !below[names[l.Lower]] {
		below[names[l.Lower]] = true
		l = f.Links[names[l.Lower]]
	}
	return below
}

// inspectSharedNetworks returns the findings about shared networks, one for each link. Where main sends replies by the
// uplink anyway, they take the right way without a mark.
func inspectSharedNetworks(shared []sharedNetwork, s uplinks.Settings, f uplinks.Facts) (all []Finding) {
	gateways, first := map[string][]string{}, map[string]sharedNetwork{}
	var links []string
	for _, n := range shared {
		gateway, astray := n.astray(s, f)
		if !astray {
			continue
		}
		if len(gateways[n.link]) == 0 {
			links, first[n.link] = append(links, n.link), n
		}
		if text := strconv.Quote(gateway); !slices.Contains(gateways[n.link], text) {
			gateways[n.link] = append(gateways[n.link], text)
		}
	}
	for _, link := range links {
		n := first[link]
		u, preferred := s.Uplinks[n.uplink], mainDefaultLink(f, uplinks.FamilyOf(n.address))
		why, otherwise, way := "is stacked on "+u.Link, "", "by "+preferred
		if !n.stacked {
			why, otherwise = "leads to the same network", "; or, if its network only has the same number, renumber one of the two"
		}
		if preferred == "" {
			way = "nowhere"
		}
		all = append(all, Finding{
			What: fmt.Sprintf("%s %s, has the address %s of the network of uplink %s, and is no uplink: requests that come in by it get no mark, and main sends their replies %s",
				link, why, n.address, u.Name, way),
			Remedy: fmt.Sprintf("add a table for it: [uplinks.%s] with id = %s, interface = %q, gateway = [%s]%s",
				uniqueName(s.Uplinks, link), freeID(s), link, strings.Join(gateways[link], ", "), otherwise),
		})
	}
	return all
}

// astray reports whether replies to requests that come in by the link are not sent by main to the uplink's gateway, which
// it returns, or "auto" where there is none.
func (n sharedNetwork) astray(s uplinks.Settings, f uplinks.Facts) (gateway string, astray bool) {
	u, family := s.Uplinks[n.uplink], uplinks.FamilyOf(n.address)
	lower, _ := f.LinkOf(u)
	hop, known := lower.NextHop(u.Gateway(family), family)
	preferred := mainDefaultLink(f, family)
	if !f.Links[n.link].Up || !known || !u.Manages(family) || preferred == u.Link || preferred == n.link {
		return "", false
	}
	if !hop.Gateway.IsValid() {
		return "auto", true
	}
	return hop.Gateway.String(), true
}

// mainDefaultLink returns the link of main's preferred default route, empty without one.
func mainDefaultLink(f uplinks.Facts, family uplinks.Family) (link string) {
	var best uplinks.NextHop
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		for _, hop := range f.Links[name].Defaults {
			if hop.Family == family && hop.Table == uplinks.MainTable && (link == "" || hop.Metric < best.Metric) {
				link, best = name, hop
			}
		}
	}
	return link
}

// freeID returns the smallest id that no uplink has.
func freeID(s uplinks.Settings) string {
	for id := range int(s.Mask.MaxID()) {
		if !slices.ContainsFunc(s.Uplinks, func(u uplinks.Uplink) bool { return int(u.ID) == id+1 }) {
			return strconv.Itoa(id + 1)
		}
	}
	return "(none is free: give the mask more bits)"
}
