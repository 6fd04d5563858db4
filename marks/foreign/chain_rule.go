package foreign

import (
	"encoding/binary"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// chainRule is a rule of nftables of another program, by itself: what its chain adds is not known yet.
type chainRule struct {
	Behaviour
	rule   Rule
	family uint8
	table  string
}

// beside returns the location of another chain of the rule's table.
func (r chainRule) beside(chain string) string {
	return strings.TrimSuffix(r.rule.Location, r.rule.Chain) + chain
}

// readChainRules decodes the rules that are not replypath's.
func readChainRules(objects []netfilter.Object) (all []chainRule) {
	for _, o := range objects {
		table, chain := netfilter.FindString(o.Attributes, unix.NFTA_RULE_TABLE), netfilter.FindString(o.Attributes, unix.NFTA_RULE_CHAIN)
		if isOwnTable(table) || table == marks.MangleTable && strings.HasPrefix(chain, marks.Prefix) {
			continue
		}
		r := Rule{Tool: "nft list ruleset", Location: location(o, unix.NFTA_RULE_CHAIN), Chain: chain}
		if handle := nlattr.Find(o.Attributes, unix.NFTA_RULE_HANDLE); len(handle) == 8 {
			r.Handle = binary.BigEndian.Uint64(handle)
		}
		e := evaluator{rule: &r, registers: map[uint32]registerValue{}}
		for name, data := range netfilter.Expressions(o.Attributes) {
			e.eval(name, data)
		}
		r.Text = strings.Join(e.terms, ", ")
		b := ReadBehaviour(o.Family, o.Attributes, linkName)
		r.Selectors = b.Text
		all = append(all, chainRule{b, r, o.Family, table})
	}
	return all
}

// readVerdictMaps reads the verdict maps of tables where they matter: with chains that packets traverse after their route is known, or
// with rules that change replies and may be reached by a map.
func readVerdictMaps(chains []netfilter.Object, rules []chainRule) error {
	wanted := map[string]bool{} // tables, by the start of their locations
	for at := range egressChains(chains, nil) {
		wanted[at[:strings.LastIndexByte(at, ' ')]] = true
	}
	for _, r := range rules {
		if r.rule.ChangesReplies() && len(r.rule.Ports()) == 0 {
			wanted[strings.TrimSpace(r.beside(""))] = true
		}
	}
	for i := range rules {
		if r := &rules[i]; wanted[strings.TrimSpace(r.beside(""))] {
			if err := r.readVerdictMap(r.family, r.table); err != nil {
				return err
			}
		}
	}
	return nil
}

// linksOf returns the jumps between chains, with the ports by which the rules select.
func linksOf(rules []chainRule) (all []link) {
	for _, r := range rules {
		for _, j := range r.jumps(r.rule.Ports()) {
			all = append(all, link{r.rule.Location, r.beside(j.chain), j.ports})
		}
	}
	return all
}
