package uplinks

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Finding is something about the host that the operator should know: the settings can be carried out, but not all
// replies will find their way.
type Finding struct {
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// String is one sentence and its remedy.
func (f Finding) String() string { return f.What + ": " + f.Remedy }

// Findings compares what the operator asked for with what the host is like.
func Findings(s Settings, f Facts) []Finding { return Inspect(s, f).Findings() }

func (u Uplink) findings(f Facts, hostAddrs map[netip.Addr]bool) []Finding {
	l, present := f.Links[u.Link]
	if !present {
		return []Finding{{
			What:   fmt.Sprintf("uplink %s: there is no link %s yet", u.Name, u.Link),
			Remedy: "apply again when it is there, or correct its interface",
		}}
	}
	if l.VRF != 0 {
		return []Finding{{
			What: fmt.Sprintf("uplink %s: %s is in a VRF, whose table %d the kernel asks before any rule of ours: it is not taken care of", u.Name, l.Name, l.VRF),
			Remedy: fmt.Sprintf("take it out of the VRF (ip link set %s nomaster), or out of the configuration: sockets in a VRF answer by its table, with a default route there (ip route add default via GATEWAY dev %s table %d)",
				l.Name, l.Name, l.VRF),
		}}
	}
	var all []Finding
	for _, family := range f.families() {
		address := l.SourceAddr(family)
		if !address.IsValid() {
			continue
		}
		hop, known := l.NextHop(u.Gateway(family), family)
		if known && hostAddrs[hop.Gateway] {
			all = append(all, Finding{
				What:   fmt.Sprintf("uplink %s: its %s gateway %s is an address of this host", u.Name, family, hop.Gateway),
				Remedy: "write the address of the router on the other side",
			})
		}
		switch {
		case !u.Manages(family):
			all = append(all, Finding{
				What:   fmt.Sprintf("uplink %s: %s has the address %s, but no %s gateway is given: %s replies are left to the main table", u.Name, l.Name, address, family, family),
				Remedy: fmt.Sprintf(`add the gateway's address, or "auto", to the gateways of %s`, u.Name),
			})
		case !known:
			all = append(all, Finding{
				What:   fmt.Sprintf("uplink %s: no %s gateway is known: the kernel has no default route by %s", u.Name, family, l.Name),
				Remedy: fmt.Sprintf("write the gateway's address in the configuration of %s", u.Name),
			})
		}
	}
	return all
}

// inspectLinks names the links by which main reaches networks through a gateway, and which are neither uplinks nor inside.
// Main's routes by such a link win over an uplink's: a question from there that comes in by an uplink would be refused
// under strict rp_filter, and otherwise answered by that link.
func inspectLinks(s Settings, f Facts) []Finding {
	known := map[string]bool{}
	for _, link := range s.Inside {
		known[link] = true
	}
	for _, u := range s.Uplinks {
		known[u.Link] = true
	}
	routes := map[string][]GatewayRoute{}
	var links []string
	for _, r := range f.GatewayRoutes {
		if known[r.Link] || r.Dst.Bits() > 0 && IsDefaultRoute(r.Dst) {
			continue // that a VPN has taken all, in pieces, does no harm
		}
		if len(routes[r.Link]) == 0 {
			links = append(links, r.Link)
		}
		routes[r.Link] = append(routes[r.Link], r)
	}
	var all []Finding
	for _, link := range links {
		all = append(all, Finding{
			What: fmt.Sprintf("%s is neither an uplink nor inside, and main reaches networks through a gateway by it (%s): a question from there that comes in by an uplink would be refused under strict rp_filter, and otherwise answered by %s",
				link, summarizeRoutes(routes[link], f.OmittedRoutes[link]), link),
			Remedy: fmt.Sprintf(`make it an uplink ([uplinks.NAME] with interface = %q), or, if a router behind it is on your side, add it to inside = [%q]`, link, link),
		})
	}
	return all
}

func destination(r GatewayRoute) string {
	if r.Dst.Bits() == 0 {
		return "default"
	}
	return r.Dst.String()
}

// summarizeRoutes keeps a full routing table, of which more routes are not listed, out of a sentence.
func summarizeRoutes(routes []GatewayRoute, omitted int) string {
	const maxListed = 3
	var listed []string
	for _, r := range routes[:min(maxListed, len(routes))] {
		listed = append(listed, fmt.Sprintf("%s via %s", destination(r), r.Gateway))
	}
	text := strings.Join(listed, ", ")
	if more := len(routes) - len(listed) + omitted; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// missingOriginals names links in our group of which nothing is noted: only an exact recorded value is ever put back.
func missingOriginals(f Facts) (all []Finding) {
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		if _, saved := f.Originals[Tunable{name, LinkGroup}]; saved || f.Links[name].Group != DefaultGroup {
			continue
		}
		all = append(all, Finding{
			What: fmt.Sprintf("%s is in our link group, and what was there before is not remembered: it stays as it is", name),
			Remedy: fmt.Sprintf("%s; %s; and look at %s, %s and %s", Tunable{name, LinkGroup}.command("0"), Tunable{name, SrcValidMark}.command("0"),
				FwmarkAccept, Reflect4, Reflect6),
		})
	}
	return all
}
