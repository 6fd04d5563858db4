package marks

import (
	"fmt"
	"slices"
	"strings"
)

// masqRule leads what leaves by the link to masqChain. The NAT table sees only the first packet of each connection.
func (o Outbound) masqRule(e Egress) Rule {
	return Rule{Out: e.Link, Action: Action{Kind: Goto, Chain: o.masqChainName(e)}}
}

// masqChains returns the chains that translate sources, in the form that suits nftables.
func (o Outbound) masqChains() []Chain {
	chains := byEgressLink(Masq, MasqMap, o.links(), o.masqChain)
	chains[0].Rules = append(o.exemptions(), chains[0].Rules...)
	return chains
}

// exemptions returns the rules before all others of Masq. What an IPsec policy transforms keeps its source: the policy selects by it,
// and once it is translated, the kernel looks the policy up again (nf_xfrm_me_harder) and sends the packet unencrypted.
func (o Outbound) exemptions() []Rule {
	if !o.IPsec {
		return nil
	}
	return []Rule{{IPsec: true, Action: Action{Kind: Return}}}
}

func (o Outbound) masqChainName(e Egress) string { return fmt.Sprintf("%s%d", Masq, o.Mask.ID(e.Mark)) }

// masqChain translates the source of connections that began inside and leave by the link. One without a mark began inside too: Pin,
// which another program has emptied or taken out of its hook, would have given it one.
func (o Outbound) masqChain(e Egress) Chain {
	c := Chain{Name: o.masqChainName(e)}
	for _, source := range e.Sources {
		c.Rules = append(c.Rules, Rule{OrigFrom: source, Action: Action{Kind: Return}})
	}
	for _, m := range []MarkMatch{{Mark: Mark(o.Flag), Mask: o.Flag}, {Mask: o.Mask}} {
		c.Rules = append(c.Rules, Rule{Ctmark: m, Action: Action{Kind: Masquerade}})
	}
	return c
}

// TableOf returns the iptables table of a chain: Masq and what is below it are in MasqTable.
func TableOf(chain string) string {
	if strings.HasPrefix(chain, Masq) {
		return MasqTable
	}
	return MangleTable
}

// Table returns the iptables table of the built-in chain.
func (h Hook) Table() string { return TableOf(h.Rule.Action.Chain) }

// last reports whether the hook is the last rule of its built-in chain: the operator's own address translation comes first.
func (h Hook) last() bool { return h.Table() == MasqTable }

// ByTable returns the parts of the change by table. One without rules is left out.
func (c Change) ByTable() map[string]Change {
	parts := map[string]Change{}
	for _, chain := range c.Chains {
		part := parts[TableOf(chain.Name)]
		part.Chains = append(part.Chains, chain)
		parts[TableOf(chain.Name)] = part
	}
	for _, h := range c.Hooks {
		part := parts[h.Hook.Table()]
		part.Hooks = append(part.Hooks, h)
		parts[h.Hook.Table()] = part
	}
	for _, name := range c.Delete {
		part := parts[TableOf(name)]
		part.Delete = append(part.Delete, name)
		parts[TableOf(name)] = part
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
