package uplinks

import "replypath/marks"

// addChains adds the chains that set and restore marks, and their hooks, for the uplinks of one family. Without a
// firewall for the family there are none.
func addChains(want State, s Settings, f Facts, family Family) {
	inside, routers, classified := insideNetworks(s, f, family), s.RoutersOf(f), s.classifiedLinks(f)
	var ingress []marks.Ingress
	for _, u := range s.Uplinks {
		if u.Manages(family) && u.named() {
			ingress = append(ingress, marks.Ingress{Link: u.Link, Mark: s.Mark(u), Inside: inside[u.Link], Routers: routers[u.Name],
				Tree: u.found && f.MACBits[family], Classified: classified[u.Link] && !u.found})
		}
	}
	firewall, ok := f.Firewalls[family]
	if !ok || len(ingress) == 0 {
		return
	}
	for _, c := range marks.Layout(firewall.Backend, s.Mask, uint32(s.Group), family == IPv6, ingress) {
		want.Chains[ChainKey{firewall, c.Name}] = marks.ChainRules{Rules: c.Rules}
	}
	for _, h := range marks.Hooks {
		want.Hooks[HookKey{firewall, h}] = hookInPlace
	}
}
