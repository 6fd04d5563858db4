package marks

import (
	"fmt"
	"net/netip"
	"slices"
)

// The chains of connections that begin inside: on this host, or on one behind it.
const (
	Pin    = Prefix + "PIN"    // from POSTROUTING: gives a connection the mark of the uplink that its first packet leaves by
	Client = Prefix + "CLIENT" // from PREROUTING: gives the first packets from a sender the mark of the sender's bucket
	Masq   = Prefix + "NAT"    // from POSTROUTING of MasqTable: translates the sources that the uplink's provider would drop
)

// Outbound describes what the chains of connections that begin inside do, on a host with these egress links in one group.
type Outbound struct {
	Mask    Mask // of the uplinks' marks
	Flag    Mask // the bit of a connection's mark that says that it began inside
	Group   uint32
	Egress  []Egress
	Buckets []Mark // by the hash of the sender; nil: senders are not distinguished
	// HashBits hashes senders by the bits of their IPv6 addresses, into 16 buckets.
	HashBits bool
	// Masquerade translates the source of what leaves by an egress link, except from its Sources.
	Masquerade bool
}

// Egress is an egress link, the mark of the connections that leave by it, and the networks whose packets its provider takes.
type Egress struct {
	Link    string
	Mark    Mark
	Sources []netip.Prefix
}

// clusterSeed makes the hash of senders differ from those of other programs that use it.
const clusterSeed = 0x52505942

// Chains returns the chains for the egress links. Only a connection without a mark is pinned, and only by a packet of its
// original direction: neither a reply that strays nor a connection that came in by an uplink becomes one that began inside.
func (o Outbound) Chains() []Chain {
	chains := pinDispatch(nil, Pin, o, o.Egress)
	if o.Buckets != nil {
		chains = append(chains, o.clientChain())
	}
	if o.Masquerade {
		chains = append(chains, o.masqChain())
	}
	return chains
}

// Layout returns the chains in the form that suits the backend: Chains, or for nftables a map instead of the tests by link.
func (o Outbound) Layout(b Backend) []Chain {
	chains := o.Chains()
	if b != Nftables {
		return chains
	}
	chains = slices.DeleteFunc(chains, func(c Chain) bool { return c.Name != Client && c.Name != Masq })
	for _, c := range chains {
		for i := range c.Rules {
			if c.Rules[i].Action.Kind == SetMark {
				c.Rules[i].Action.Kind = SetFwmark
			}
		}
	}
	chains = append(chains, Chain{Pin, []Rule{{Action: Action{Kind: LookUpOut, Chain: PinMap}}}})
	elements := Chain{Name: PinMap}
	for _, e := range o.Egress {
		pin := o.pinRule(e)
		pin.Out = ""
		own := Chain{fmt.Sprintf("%s%d", Pin, o.Mask.ID(e.Mark)), []Rule{pin}}
		chains = append(chains, own)
		elements.Rules = slices.DeleteFunc(elements.Rules, func(r Rule) bool { return r.In == e.Link }) // the last uplink of a link counts
		elements.Rules = append(elements.Rules, Rule{In: e.Link, Action: Action{Kind: Goto, Chain: own.Name}})
	}
	slices.SortFunc(elements.Rules, CompareElements)
	return append(chains, elements)
}

// Hooks returns the hooks of Chains.
func (o Outbound) Hooks() []Hook {
	hooks := []Hook{{"POSTROUTING", Rule{DstGroup: o.Group, Ctmark: MarkMatch{Mask: o.Mask}, Dir: "ORIGINAL", Action: Action{Kind: Jump, Chain: Pin}}}}
	if o.Buckets != nil {
		hooks = append(hooks, Hook{"PREROUTING", Rule{Packet: PacketMatch{DstType: AddrType{Not: true, Type: "LOCAL"}}, Ctmark: MarkMatch{Mask: o.Mask}, NotAssured: true, Dir: "ORIGINAL", Action: Action{Kind: Jump, Chain: Client}}})
	}
	if o.Masquerade {
		hooks = append(hooks, Hook{"POSTROUTING", Rule{Action: Action{Kind: Jump, Chain: Masq}}})
	}
	return hooks
}

// pinDispatch appends the chain that pins connections by their egress link, and the chains below it: as addIngressDispatch
// does for ingress links.
func pinDispatch(chains []Chain, name string, o Outbound, egress []Egress) []Chain {
	if len(egress) <= MaxLinear {
		rules := make([]Rule, len(egress))
		for i, e := range egress {
			rules[i] = o.pinRule(e)
		}
		return append(chains, Chain{name, rules})
	}
	byName := make([]Ingress, len(egress))
	link := make(map[string]Egress, len(egress))
	for i, e := range egress {
		byName[i], link[e.Link] = Ingress{Link: e.Link}, e
	}
	index := len(chains)
	chains = append(chains, Chain{Name: name})
	for _, group := range groupByPrefix(byName) {
		rule := o.pinRule(link[group[0].Link])
		if len(group) > 1 {
			prefix := commonPrefix(group)
			rule = Rule{Out: prefix + "+", Action: Action{Kind: Goto, Chain: pinChain(prefix)}}
			var below []Egress
			for _, l := range group {
				below = append(below, link[l.Link])
			}
			chains = pinDispatch(chains, pinChain(prefix), o, below)
		}
		chains[index].Rules = append(chains[index].Rules, rule)
	}
	return chains
}

// pinChain returns the name of the chain for links whose names have this prefix: at most 26 characters.
func pinChain(prefix string) string { return Prefix + "P-" + prefix }

func (o Outbound) pinRule(e Egress) Rule {
	return Rule{Out: e.Link, Action: Action{Kind: SetCtmark, Mark: e.Mark | Mark(o.Flag), Mask: o.Mask | o.Flag}}
}

// clientChain marks the packet with the bucket of its sender.
func (o Outbound) clientChain() Chain {
	c := Chain{Name: Client}
	if o.HashBits {
		c.Rules = o.senderBitRules()
		return c
	}
	for i, bucket := range o.Buckets {
		c.Rules = append(c.Rules, Rule{Cluster: Cluster{Total: uint32(len(o.Buckets)), Node: uint32(i), Seed: clusterSeed},
			Action: Action{Kind: SetMark, Mark: bucket, Mask: o.Mask}})
	}
	return c
}

// masqChain translates the source of connections that began inside. The NAT table sees only the first packet of each. One without
// a mark began inside too: Pin, which another program has emptied or taken out of its hook, would have given it one.
func (o Outbound) masqChain() Chain {
	c := Chain{Name: Masq}
	for _, e := range o.Egress {
		for _, source := range e.Sources {
			c.Rules = append(c.Rules, Rule{Out: e.Link, OrigFrom: source, Action: Action{Kind: Return}})
		}
		for _, m := range []MarkMatch{{Mark: Mark(o.Flag), Mask: o.Flag}, {Mask: o.Mask}} {
			c.Rules = append(c.Rules, Rule{Out: e.Link, Ctmark: m, Action: Action{Kind: Masquerade}})
		}
	}
	return c
}

// isOutbound reports whether the hook is one of Outbound.Hooks for any group and mask.
func (h Hook) isOutbound() bool {
	r := h.Rule
	for _, ours := range (Outbound{Mask: r.Ctmark.Mask, Group: r.DstGroup, Buckets: []Mark{0}, Masquerade: true}).Hooks() {
		if h == ours && (r.Ctmark.Mask != 0 || h.Table() == MasqTable) {
			return true
		}
	}
	return false
}

// tableOf returns the iptables table of a chain.
func tableOf(chain string) string {
	if chain == Masq {
		return MasqTable
	}
	return MangleTable
}

// Table returns the iptables table of the built-in chain.
func (h Hook) Table() string { return tableOf(h.Rule.Action.Chain) }

// last reports whether the hook is the last rule of its built-in chain: the operator's own address translation comes first.
func (h Hook) last() bool { return h.Table() == MasqTable }

// ByTable returns the parts of the change by table. One without rules is left out.
func (c Change) ByTable() map[string]Change {
	parts := map[string]Change{}
	for _, chain := range c.Chains {
		part := parts[tableOf(chain.Name)]
		part.Chains = append(part.Chains, chain)
		parts[tableOf(chain.Name)] = part
	}
	for _, h := range c.Hooks {
		part := parts[h.Hook.Table()]
		part.Hooks = append(part.Hooks, h)
		parts[h.Hook.Table()] = part
	}
	for _, name := range c.Delete {
		part := parts[tableOf(name)]
		part.Delete = append(part.Delete, name)
		parts[tableOf(name)] = part
	}
	return parts
}

// Tables are the iptables tables of all chains.
var Tables = [...]string{MangleTable, MasqTable}

// tableOrder returns the tables in the order in which the change is made: sources are translated before connections get marks, and
// as long as they do, as each table is changed for itself.
func (c Change) tableOrder() []string {
	order := Tables[:]
	if !slices.Contains(c.Delete, Masq) {
		order = slices.Clone(order)
		slices.Reverse(order)
	}
	return order
}
