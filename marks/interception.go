package marks

import (
	"net/netip"
	"slices"
)

// Chains of interception. Proxied ends Pre, and Proxied, in which the connections of local proxies begin, ends Out.
const (
	Proxied   = Prefix + "TP"  // from Pre: packets of intercepted connections, and of a proxy's own
	ToProxy   = Prefix + "TPM" // from Proxied: the packet gets the bit, by which it is routed to this host
	FromProxy = Prefix + "TPO" // from Out: a connection with a source that is no address of this host gets the bit
)

// interceptPrefix starts the names of the chains of single intercepts. With the name of an intercept, of at most 15
// characters, it is within the 28 characters that iptables allows.
const interceptPrefix = Prefix + "TP-"

// maxPorts is the number of ports that one match takes (XT_MULTI_PORTS); a range counts as two.
const maxPorts = 15

// Intercept is a class of connections that a local proxy takes.
type Intercept struct {
	Name     string
	In       []InterceptedLink
	Services []InterceptedService
	From, To []netip.Prefix // if not empty: only these
	// NotFrom and NotTo are left out.
	NotFrom, NotTo []netip.Prefix
	Ports          []PortRange // destination ports; empty: all
	Drop           bool        // drop packets of new connections that no proxy takes
}

// InterceptedLink is an ingress link of intercepted connections.
type InterceptedLink struct {
	Name      string
	Forwarded bool // only connections to addresses that are not this host's own
}

// InterceptedService is a transport protocol and the socket that takes its connections.
type InterceptedService struct {
	Proto  string // tcp or udp
	Proxy  netip.AddrPort
	Absent bool // no proxy takes new connections: they pass, or are dropped (Intercept.Drop)
}

// PortRange includes both ports.
type PortRange struct{ First, Last uint16 }

// InterceptLayout returns the chains of interception, which use one bit of the marks of packets and connections. A connection that a
// proxy takes, or that a proxy opens with the address of a client, has the bit from its first packet on: a connection stays
// where it began, although a proxy comes or goes. A packet that the host should receive though it is addressed to another
// one has the bit: replies to a proxy's own connections, and packets of intercepted ones. All other packets of established
// connections meet one rule. In nftables the chains do the same in another form: a match has one range of ports, and a TPROXY
// without a socket does not match the packet.
func InterceptLayout(b Backend, bit Mask, ipv6 bool, intercepts []Intercept) []Chain {
	return interception{bit, ipv6, b == Nftables}.chains(intercepts)
}

// interception makes chains of interception.
type interception struct {
	bit    Mask
	ipv6   bool
	native bool // for nftables
}

func (n interception) chains(intercepts []Intercept) []Chain {
	bit, ipv6 := n.bit, n.ipv6
	set := Action{Kind: SetCtmark, Mark: Mark(bit), Mask: bit}
	notLocal := AddrType{Not: true, Type: "LOCAL"}
	toProxy := Action{Kind: Goto, Chain: ToProxy}
	chains := []Chain{
		{Proxied, []Rule{
			{Ctmark: MarkMatch{Mask: bit}, Packet: PacketMatch{NotState: true, State: "NEW"}, Action: Action{Kind: Return}},
			{Dir: "REPLY", Action: toProxy},
			{Packet: PacketMatch{Proto: icmp(ipv6), State: "RELATED"}, Action: toProxy},
		}},
		{ToProxy, []Rule{{Action: Action{Kind: n.setMark(), Mark: Mark(bit), Mask: bit}}}},
		{FromProxy, []Rule{
			{Packet: PacketMatch{Proto: "tcp", SrcType: notLocal}, Action: set},
			{Packet: PacketMatch{Proto: "udp", SrcType: notLocal}, Action: set},
		}},
	}
	if len(intercepts) == 0 {
		return chains
	}
	rules := append(chains[0].Rules, n.groupRules()...)
	for _, i := range intercepts {
		rules = append(rules, n.dispatch(i)...)
		chains = append(chains, Chain{interceptPrefix + i.Name, n.rules(i)})
	}
	chains[0].Rules = rules
	return chains
}

// setMark returns the kind of the action that writes to a packet's mark.
func (n interception) setMark() ActionKind {
	if n.native {
		return SetFwmark
	}
	return SetMark
}

// groupRules returns the rules that leave out what is addressed to groups of hosts. nftables finds the type of an IPv6
// address by a route, which need not exist.
func (n interception) groupRules() (rules []Rule) {
	pass := Action{Kind: Return}
	if n.native && n.ipv6 {
		return []Rule{{Packet: PacketMatch{Dst: netip.MustParsePrefix("ff00::/8")}, Action: pass}}
	}
	rules = []Rule{{Packet: PacketMatch{DstType: AddrType{Type: "MULTICAST"}}, Action: pass}}
	if !n.ipv6 {
		rules = append(rules, Rule{Packet: PacketMatch{DstType: AddrType{Type: "BROADCAST"}}, Action: pass})
	}
	return rules
}

// InterceptJumps returns the rules that end Pre and Out on a host with interception.
func InterceptJumps() (pre, out Rule) {
	pre = Rule{Action: Action{Kind: Jump, Chain: Proxied}}
	return pre, Rule{Packet: PacketMatch{State: "NEW"}, Action: Action{Kind: Jump, Chain: FromProxy}}
}

// InterceptHooks returns the hooks by which nftables has what InterceptJumps does: there a packet returns from Pre and Out
// before their ends. They come behind the hooks of replies, by which packets have the marks of their uplinks first.
func InterceptHooks() []Hook {
	pre, out := InterceptJumps()
	return []Hook{{"PREROUTING", pre}, {"OUTPUT", out}}
}

// ComesLast reports whether the hook is one of InterceptHooks.
func (h Hook) ComesLast() bool { return slices.Contains(InterceptHooks(), h) }

// icmp returns the name of the family's ICMP. Its errors are related to the connection that they report about.
func icmp(ipv6 bool) string {
	if ipv6 {
		return "ipv6-icmp"
	}
	return "icmp"
}

// dispatch returns the jumps to the chain of the intercept.
func (n interception) dispatch(i Intercept) (rules []Rule) {
	for _, link := range i.In {
		for _, s := range i.Services {
			for _, ports := range n.multiports(i.Ports) {
				for _, from := range orAny(i.From) {
					for _, to := range orAny(i.To) {
						m := PacketMatch{Src: from, Dst: to, Proto: s.Proto, Ports: ports}
						if link.Forwarded {
							m.DstType = AddrType{Not: true, Type: "LOCAL"}
						}
						rules = append(rules, Rule{In: link.Name, Packet: m, Action: Action{Kind: Jump, Chain: interceptPrefix + i.Name}})
					}
				}
			}
		}
	}
	return rules
}

// orAny returns the networks, or the invalid one, which matches every address, if there are none.
func orAny(networks []netip.Prefix) []netip.Prefix {
	if len(networks) == 0 {
		return []netip.Prefix{{}}
	}
	return networks
}

// rules returns the rules of the intercept's own chain.
func (n interception) rules(i Intercept) (rules []Rule) {
	for _, p := range i.NotFrom {
		rules = append(rules, Rule{Packet: PacketMatch{Src: p}, Action: Action{Kind: Return}})
	}
	for _, p := range i.NotTo {
		rules = append(rules, Rule{Packet: PacketMatch{Dst: p}, Action: Action{Kind: Return}})
	}
	for _, s := range i.Services {
		rules = append(rules, n.serviceRules(s, i.Drop)...)
	}
	return rules
}

// serviceRules returns the rules that give the packets of a protocol to the proxy. New connections get the bit first, as
// TPROXY ends the traversal, and lose it again where the backend has a TPROXY that does not match without a proxy.
//
// Destination address translation comes after TPROXY. A TCP socket then has the translated address, by which TPROXY does not
// find it; the routing does, as the packets have that address by then. UDP sockets are not connected.
//
// Without a proxy new connections pass, and so do all datagrams. The other packets of TCP belong to connections that a
// proxy has begun and may still serve.
func (n interception) serviceRules(s InterceptedService, drop bool) []Rule {
	on := func(state string, a Action) Rule {
		return Rule{Packet: PacketMatch{Proto: s.Proto, State: state}, Action: a}
	}
	set, clear := Action{Kind: SetCtmark, Mark: Mark(n.bit), Mask: n.bit}, Action{Kind: SetCtmark, Mask: n.bit}
	take := Action{Kind: TProxy, Mark: Mark(n.bit), Mask: n.bit, Proxy: s.Proxy}
	tcp := s.Proto == "tcp"
	var rules []Rule
	switch {
	case s.Absent && drop:
		rules = []Rule{on("NEW", Action{Kind: Drop})}
	case s.Absent && !tcp:
		return []Rule{on("", clear), on("", Action{Kind: Return})}
	case s.Absent:
		rules = []Rule{on("NEW", clear), on("NEW", Action{Kind: Return})}
	case drop:
		rules = []Rule{on("NEW", set), on("NEW", take), on("NEW", Action{Kind: Drop})}
	default:
		rules = []Rule{on("NEW", set), on("NEW", take), on("NEW", clear)}
		if n.native {
			rules = append(rules, on("NEW", Action{Kind: Return}))
		}
	}
	if tcp {
		rules = append(rules, on("DNAT", Action{Kind: Goto, Chain: ToProxy}))
	}
	rules = append(rules, on("", take))
	switch {
	case n.native && (tcp || drop):
		rules = append(rules, on("", Action{Kind: Drop}))
	case n.native:
		rules = append(rules, on("", clear))
	}
	return rules
}

// multiports returns the ports of as many matches as they need, one without ports if there are none.
func (n interception) multiports(ports []PortRange) (all []List[PortRange]) {
	if n.native && len(ports) > 0 {
		for _, p := range ports {
			all = append(all, NewList(p))
		}
		return all
	}
	first, used := 0, 0
	for i, p := range ports {
		if used += p.size(); used > maxPorts {
			all = append(all, NewList(ports[first:i]...))
			first, used = i, p.size()
		}
	}
	return append(all, NewList(ports[first:]...))
}

// size returns how many of maxPorts the range takes.
func (r PortRange) size() int {
	if r.First == r.Last {
		return 1
	}
	return 2
}
