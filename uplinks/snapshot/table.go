package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// TableLines returns the chains and rules of a table in the output of iptables-save(8): -P CHAIN POLICY unless the policy is ACCEPT,
// -N CHAIN, and -A CHAIN with the rule.
func TableLines(saved, table string) (all []string) {
	in := false
	for l := range strings.Lines(saved) {
		l = strings.TrimSpace(l)
		name, isTable := strings.CutPrefix(l, "*")
		chain, isChain := strings.CutPrefix(l, ":")
		switch {
		case isTable:
			in = name == table
		case !in:
		case isChain:
			parts := strings.Fields(chain)
			switch {
			case len(parts) < 2 || parts[1] == "ACCEPT":
			case parts[1] == "-":
				all = append(all, "-N "+parts[0])
			default:
				all = append(all, "-P "+parts[0]+" "+parts[1])
			}
		case strings.HasPrefix(l, "-A "):
			all = append(all, l)
		}
	}
	return all
}

// MangleChain identifies a chain of a mangle table.
type MangleChain struct{ Family, Backend, Name string }

// ChainLines are what a document has of a chain.
type ChainLines struct {
	Policy string // "" where it is ACCEPT, or the chain is not built in
	New    bool   // the chain is not built in
	Gone   bool   // the chain is to be deleted
	Rules  []string
}

// MangleChains returns the chains of other programs in a document.
func (d Document) MangleChains() map[MangleChain]ChainLines {
	all := map[MangleChain]ChainLines{}
	for _, l := range d.Of(KindMangle) {
		parts := strings.SplitN(l, " ", 5)
		if len(parts) < 4 {
			continue
		}
		k := MangleChain{parts[0], parts[1], parts[3]}
		c := all[k]
		switch parts[2] {
		case "-P":
			c.Policy = strings.Join(parts[4:], "")
		case "-N":
			c.New = true
		case "-A":
			c.Rules = append(c.Rules, strings.Join(parts[2:], " "))
		}
		all[k] = c
	}
	return all
}

// Lacks reports whether the chain has not all that the other one has, or has it in another order.
func (c ChainLines) Lacks(other ChainLines) bool {
	more := without(c.Rules, other.Rules)
	return c.Policy != other.Policy || other.New && !c.New || !slices.Equal(without(c.Rules, more), other.Rules)
}

// Equal reports whether both are the same.
func (c ChainLines) Equal(other ChainLines) bool {
	return c.Policy == other.Policy && c.New == other.New && c.Gone == other.Gone && slices.Equal(c.Rules, other.Rules)
}

// With returns the other chain, followed by the rules that only this one has.
func (c ChainLines) With(other ChainLines) ChainLines {
	other.Rules = slices.Concat(other.Rules, without(c.Rules, other.Rules))
	return other
}

// Restore returns the lines of iptables-restore(8) that give the chain its policy and rules. All heads must precede all rules, as
// chains refer to each other. First come these rules of replypath, which are there already.
func (c ChainLines) Restore(name string, ours []string) (head, rules string) {
	head = ":" + name + " " + c.PolicyOrAccept() + " [0:0]\n-F " + name + "\n"
	if c.New {
		head = ":" + name + " - [0:0]\n"
	}
	if c.Gone {
		return head, ""
	}
	return head, strings.Join(slices.Concat(ours, c.Rules, []string{""}), "\n")
}

// PolicyOrAccept returns the policy of a built-in chain.
func (c ChainLines) PolicyOrAccept() string { return cmp.Or(c.Policy, "ACCEPT") }

// ChainNames returns the chains in a fixed order.
func ChainNames(all map[MangleChain]ChainLines) []MangleChain {
	return slices.SortedFunc(maps.Keys(all), func(a, b MangleChain) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.Name, b.Name))
	})
}
