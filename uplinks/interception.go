package uplinks

import (
	"net/netip"
	"slices"

	"replypath/marks"
)

// Purpose interception: packets that are not addressed to this host reach a transparent proxy on it, which answers from
// the address that was asked, or opens connections with the address of its client. Such packets have one bit in their
// marks, and a rule sends packets with the bit to a table whose one route makes every address local. The rule is passed
// over for packets of the host itself: the look-ups of source validation, which would find every source local, and
// the proxy's own packets, whose sockets inherit the mark of what they accepted (tcp_fwmark_accept).

// Priorities of the rules, as offsets before Settings.Priority. The lookup is guarded as soon as it exists: Diff adds the
// target of the goto first, then the goto.
const (
	beforeOwn    Priority = 3 // goto: the host's own packets
	beforeLookup Priority = 2 // lookup: packets with the bit
	beforeEnd    Priority = 1 // nop: target of the goto
)

// InterceptTable returns the number of the table in which every address is local.
func (s Settings) InterceptTable() Table { return s.TableBase + interceptTable }

// addInterception adds what interception needs. All of it belongs to the whole host.
func addInterception(want State, s Settings, f Facts, _ Verdicts) {
	if s.Interception == nil || f.Scopes != nil {
		return
	}
	for _, family := range f.Families() {
		key := RouteKey{Family: family, Table: s.InterceptTable(), Dst: family.DefaultPrefix(), Metric: family.metric()}
		want.Routes[key] = Route{Type: Local, Protocol: Protocol, Link: "lo"}
		addInterceptRules(want, s, family)
		addInterceptChains(want, s, f, family)
	}
}

func addInterceptRules(want State, s Settings, family Family) {
	own := newRule(family, s.Priority-beforeOwn, Goto)
	own.IIF, own.Goto = "lo", s.Priority-beforeEnd
	proxied := newRule(family, s.Priority-beforeLookup, Lookup)
	proxied.Mark, proxied.Mask, proxied.Table = marks.Mark(s.Interception.Bit), s.Interception.Bit, s.InterceptTable()
	for _, r := range []Rule{own, proxied, newRule(family, s.Priority-beforeEnd, Nop)} {
		want.Rules[r] = true
	}
}

// addInterceptChains adds the chains, and the jumps to them behind the chains of the replies, by which packets have the marks
// of their uplinks first.
func addInterceptChains(want State, s Settings, f Facts, family Family) {
	firewall, ok := f.Firewalls[family]
	if !ok {
		return
	}
	if firewall.Backend == marks.Nftables {
		for _, h := range marks.InterceptHooks() {
			want.Hooks[HookKey{firewall, h}] = hookInPlace
		}
	} else {
		addInterceptJumps(want, firewall)
	}
	var all []marks.Intercept
	for _, i := range s.Interception.Intercepts {
		if slices.Contains(i.Families(), family) {
			all = append(all, s.interceptIn(i, f, family))
		}
	}
	for _, c := range marks.InterceptLayout(firewall.Backend, s.Interception.Bit, family == IPv6, all) {
		want.Chains[ChainKey{firewall, c.Name}] = marks.ChainRules{Rules: c.Rules}
	}
}

// addInterceptJumps adds the jumps at the end of the chains of the replies, with their hooks. Without uplinks in the family
// those chains have nothing else.
func addInterceptJumps(want State, firewall FirewallKey) {
	pre, out := marks.InterceptJumps()
	for name, jump := range map[string]marks.Rule{marks.Pre: pre, marks.Out: out} {
		key := ChainKey{firewall, name}
		want.Chains[key] = marks.ChainRules{Rules: append(slices.Clone(want.Chains[key].Rules), jump)}
	}
	for _, h := range marks.Hooks {
		if h.Rule.Action.Chain != marks.Post {
			want.Hooks[HookKey{firewall, h}] = hookInPlace
		}
	}
}

// interceptIn returns the intercept as the chains of the family have it. Connections that come in by a link which is no
// uplink are intercepted on their way to others, unless the configuration names their destinations: the services of this
// host stay reachable from inside.
func (s Settings) interceptIn(i Intercept, f Facts, family Family) marks.Intercept {
	out := marks.Intercept{Name: i.Name, Ports: i.Ports, Drop: i.Without == DropNew,
		From: inFamily(i.Sources.In, family), NotFrom: inFamily(i.Sources.Out, family),
		To: inFamily(i.To.In, family), NotTo: inFamily(i.To.Out, family)}
	for _, link := range i.Links {
		if !isLinkName(link) {
			continue
		}
		uplink := slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Link == link })
		out.In = append(out.In, marks.InterceptedLink{Name: link, Forwarded: !uplink && len(i.To.In) == 0})
	}
	at := i.Addr
	if !at.IsValid() {
		at = map[Family]netip.Addr{IPv4: netip.IPv4Unspecified(), IPv6: netip.IPv6Unspecified()}[family]
	}
	for _, proto := range i.Protocols {
		state := f.Proxies[i.proxy(family, proto)]
		// The kernel itself drops what is for a socket that is not there.
		absent := !state.Takes() && (i.Without == Pass || state == ProxyNotAnswering)
		out.Services = append(out.Services, marks.InterceptedService{Proto: proto, Proxy: netip.AddrPortFrom(at, i.Port), Absent: absent})
	}
	return out
}

// addInterceptedNetworks adds to the owners of addresses the uplinks of networks from which proxies answer datagrams that came in by
// them. The sockets of such answers have no mark until OUTPUT, and are not sent if there is no route for them by then: main need
// not have one. A network in which the host has an address is not added, since the host itself sends from there.
func addInterceptedNetworks(owners map[netip.Prefix]marks.ID, s Settings, f Facts, managed []Uplink, family Family) {
	if s.Interception == nil {
		return
	}
	for _, i := range s.Interception.Intercepts {
		if !slices.Contains(i.Protocols, "udp") {
			continue
		}
		for _, network := range inFamily(i.To.In, family) {
			for _, u := range managed {
				id, taken := owners[network.Masked()]
				if slices.Contains(i.Links, u.Link) && !IsDefaultRoute(network) && !f.hasAddrIn(network) && (!taken || u.ID < id) {
					owners[network.Masked()] = u.ID
				}
			}
		}
	}
}

// hasAddrIn reports whether the host has an address in the network.
func (f Facts) hasAddrIn(network netip.Prefix) bool {
	for _, l := range f.Links {
		if slices.ContainsFunc(l.Addrs, func(a Addr) bool { return network.Contains(a.Prefix.Addr()) }) {
			return true
		}
	}
	return false
}
