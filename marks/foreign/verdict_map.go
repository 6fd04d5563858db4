package foreign

import (
	"slices"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// jump is a rule, or an element of a verdict map, by which packets come to another chain.
type jump struct {
	chain string
	ports []Port // by which it selects; empty: any
}

// readVerdictMap reads the verdicts of the rule's map: what it drops, and the chains that it jumps to, each with the ports of the keys
// that lead there.
func (b *Behaviour) readVerdictMap(family uint8, table string) error {
	if b.VerdictMap == "" {
		return nil
	}
	elements, err := netfilter.SetElements(family, table, b.VerdictMap)
	if err != nil {
		return err
	}
	for _, attributes := range elements {
		b.addMapped(attributes)
	}
	return nil
}

// addMapped adds the verdict of an element of the rule's map.
func (b *Behaviour) addMapped(attributes []byte) {
	verdict := nlattr.Find(nlattr.Find(attributes, unix.NFTA_SET_ELEM_DATA), unix.NFTA_DATA_VERDICT)
	if verdict == nil {
		return
	}
	var ports []Port
	for _, s := range b.PortSets {
		if s.Set == b.VerdictMap {
			ports = append(ports, s.ports([][]byte{attributes})...)
		}
	}
	switch chain := netfilter.FindString(verdict, unix.NFTA_VERDICT_CHAIN); {
	case chain != "":
		i := slices.IndexFunc(b.mapped, func(j jump) bool { return j.chain == chain })
		if i < 0 {
			b.mapped = append(b.mapped, jump{chain, ports})
		} else if len(b.mapped[i].ports) < maxSetPorts {
			b.mapped[i].ports = append(b.mapped[i].ports, ports...)
		}
	case int32(netfilter.FindUint32(verdict, unix.NFTA_VERDICT_CODE)) == verdictDrop:
		b.Drops = true
	}
}

// jumps returns all chains that the rule leads to. own are the ports by which the rule itself selects.
func (b Behaviour) jumps(own []Port) (all []jump) {
	if b.Chain != "" {
		all = append(all, jump{b.Chain, own})
	}
	for _, j := range b.mapped {
		if len(j.ports) == 0 {
			j.ports = own
		}
		all = append(all, j)
	}
	return all
}
