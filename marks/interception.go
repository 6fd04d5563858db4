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

// InterceptChains returns the chains of interception, which use one bit of the marks of packets and connections. A connection that a
// proxy takes, or that a proxy opens with the address of a client, has the bit from its first packet on: a connection stays
// where it began, although a proxy comes or goes. A packet that the host should receive though it is addressed to another
// one has the bit: replies to a proxy's own connections, and packets of intercepted ones. All other packets of established
// connections meet one rule.
func InterceptChains(bit Mask, ipv6 bool, intercepts []Intercept) []Chain {
	set := Action{Kind: SetCtmark, Mark: Mark(bit), Mask: bit}
	notLocal := AddrType{Not: true, Type: "LOCAL"}
	toProxy := Action{Kind: Goto, Chain: ToProxy}
	chains := []Chain{
		{Proxied, []Rule{
			{Ctmark: MarkMatch{Mask: bit}, Packet: PacketMatch{NotState: true, State: "NEW"}, Action: Action{Kind: Return}},
			{Dir: "REPLY", Action: toProxy},
			{Packet: PacketMatch{Proto: icmp(ipv6), State: "RELATED"}, Action: toProxy},
		}},
		{ToProxy, []Rule{{Action: Action{Kind: SetMark, Mark: Mark(bit), Mask: bit}}}},
		{FromProxy, []Rule{
			{Packet: PacketMatch{Proto: "tcp", SrcType: notLocal}, Action: set},
			{Packet: PacketMatch{Proto: "udp", SrcType: notLocal}, Action: set},
		}},
	}
	if len(intercepts) == 0 {
		return chains
	}
	rules := chains[0].Rules
	for _, groups := range []string{"MULTICAST", "BROADCAST"} {
		if groups == "MULTICAST" || !ipv6 {
			rules = append(rules, Rule{Packet: PacketMatch{DstType: AddrType{Type: groups}}, Action: Action{Kind: Return}})
		}
	}
	for _, i := range intercepts {
		rules = append(rules, i.dispatch()...)
		chains = append(chains, Chain{interceptPrefix + i.Name, i.rules(bit)})
	}
	chains[0].Rules = rules
	return chains
}

// InterceptJumps returns the rules that end Pre and Out on a host with interception.
func InterceptJumps() (pre, out Rule) {
	pre = Rule{Action: Action{Kind: Jump, Chain: Proxied}}
	return pre, Rule{Packet: PacketMatch{State: "NEW"}, Action: Action{Kind: Jump, Chain: FromProxy}}
}

// icmp returns the name of the family's ICMP. Its errors are related to the connection that they report about.
func icmp(ipv6 bool) string {
	if ipv6 {
		return "ipv6-icmp"
	}
	return "icmp"
}

// dispatch returns the jumps to the chain of the intercept.
func (i Intercept) dispatch() (rules []Rule) {
	for _, link := range i.In {
		for _, s := range i.Services {
			for _, ports := range multiports(i.Ports) {
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
func (i Intercept) rules(bit Mask) (rules []Rule) {
	for _, p := range i.NotFrom {
		rules = append(rules, Rule{Packet: PacketMatch{Src: p}, Action: Action{Kind: Return}})
	}
	for _, p := range i.NotTo {
		rules = append(rules, Rule{Packet: PacketMatch{Dst: p}, Action: Action{Kind: Return}})
	}
	for _, s := range i.Services {
		rules = append(rules, s.rules(bit, i.Drop)...)
	}
	return rules
}

// rules returns the rules that give the packets of a protocol to the proxy. New connections get the bit first, as TPROXY
// ends the traversal, and lose it again where the backend has a TPROXY that does not match without a proxy.
//
// Destination address translation comes after TPROXY. A TCP socket then has the translated address, by which TPROXY does not
// find it; the routing does, as the packets have that address by then. UDP sockets are not connected.
//
// Without a proxy new connections pass, and so do all datagrams. The other packets of TCP belong to connections that a
// proxy has begun and may still serve.
func (s InterceptedService) rules(bit Mask, drop bool) []Rule {
	on := func(state string, a Action) Rule {
		return Rule{Packet: PacketMatch{Proto: s.Proto, State: state}, Action: a}
	}
	set, clear := Action{Kind: SetCtmark, Mark: Mark(bit), Mask: bit}, Action{Kind: SetCtmark, Mask: bit}
	take := Action{Kind: TProxy, Mark: Mark(bit), Mask: bit, Proxy: s.Proxy}
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
	}
	if tcp {
		rules = append(rules, on("DNAT", Action{Kind: Goto, Chain: ToProxy}))
	}
	return append(rules, on("", take))
}

// multiports returns the arguments of as many matches as the ports need, one without ports if there are none.
func multiports(ports []PortRange) (all []string) {
	if len(ports) == 0 {
		return []string{""}
	}
	ports = slices.Clone(ports)
	for len(ports) > 0 {
		var w []byte
		used := 0
		for len(ports) > 0 && used+ports[0].size() <= maxPorts {
			if used > 0 {
				w = append(w, ',')
			}
			used += ports[0].size()
			w = append(w, ports[0].String()...)
			ports = ports[1:]
		}
		all = append(all, string(w))
	}
	return all
}

// size returns how many of maxPorts the range takes.
func (r PortRange) size() int {
	if r.First == r.Last {
		return 1
	}
	return 2
}
