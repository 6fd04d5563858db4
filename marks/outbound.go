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
	// IPsec says that the kernel may transform packets by IPsec policies, and has the match of Rule.IPsec.
	IPsec bool
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
	chains := egressDispatch{Prefix + "P-", o.pinRule}.add(nil, Pin, o.links())
	if o.Buckets != nil {
		chains = append(chains, o.clientChain(SetMark))
	}
	if o.Masquerade {
		first := len(chains)
		chains = egressDispatch{Masq + "-", o.masqRule}.add(chains, Masq, o.links())
		chains[first].Rules = append(o.exemptions(), chains[first].Rules...)
		for _, e := range o.links() {
			chains = append(chains, o.masqChain(e))
		}
	}
	return chains
}

// Layout returns the chains in the form that suits the backend: Chains, or for nftables maps instead of the tests by link.
func (o Outbound) Layout(b Backend) []Chain {
	if b != Nftables {
		return o.Chains()
	}
	chains := byEgressLink(Pin, PinMap, o.links(), o.pinChain)
	if o.Buckets != nil {
		chains = append(chains, o.clientChain(SetFwmark))
	}
	if o.Masquerade {
		chains = append(chains, o.masqChains()...)
	}
	return chains
}

// links returns the egress links. The last uplink of a link counts.
func (o Outbound) links() (all []Egress) {
	for i, e := range o.Egress {
		if !slices.ContainsFunc(o.Egress[i+1:], func(later Egress) bool { return later.Link == e.Link }) {
			all = append(all, e)
		}
	}
	return all
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

func (o Outbound) pinRule(e Egress) Rule {
	return Rule{Out: e.Link, Action: Action{Kind: SetCtmark, Mark: e.Mark | Mark(o.Flag), Mask: o.Mask | o.Flag}}
}

// pinChain pins what leaves by the link.
func (o Outbound) pinChain(e Egress) Chain {
	pin := o.pinRule(e)
	pin.Out = ""
	return Chain{fmt.Sprintf("%s%d", Pin, o.Mask.ID(e.Mark)), []Rule{pin}}
}

// clientChain marks the packet with the bucket of its sender, by a SetMark or SetFwmark.
func (o Outbound) clientChain(set ActionKind) Chain {
	c := Chain{Name: Client}
	if o.HashBits {
		c.Rules = o.senderBitRules()
		return c
	}
	for i, bucket := range o.Buckets {
		c.Rules = append(c.Rules, Rule{Cluster: Cluster{Total: uint32(len(o.Buckets)), Node: uint32(i), Seed: clusterSeed},
			Action: Action{Kind: set, Mark: bucket, Mask: o.Mask}})
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
