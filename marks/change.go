package marks

import "slices"

// Change is one transaction on the chains and hooks of a firewall. A Firewall applies it completely or not at all, in
// the order of the fields: chains refer to each other, so all of them exist and are empty before the first rule is
// appended, and no rule refers to a chain when it is deleted.
type Change struct {
	Chains []ChainChange
	Hooks  []HookChange
	Delete []string // names of chains; each also has an entry in Chains that flushes it
}

// ChainChange replaces the content of a chain by Rules.
type ChainChange struct {
	Name   string
	Create bool // the chain does not exist; otherwise it is flushed, which also resets its counters
	Rules  []Rule
	// Added is the place in Rules, from 1, of the only rule that the chain lacks, if that is known; else 0. iptables inserts it then
	// instead of a flush: the end of a process that has deleted rules waits until no packet uses them (nft_rcv_nl_event,
	// nf_tables_api.c), and the other family is changed by the next process.
	Added int
}

// AddedRule returns the ChainChange.Added for a chain that has some rules and is to have others.
func AddedRule(have, want []Rule) int {
	if len(want) != len(have)+1 {
		return 0
	}
	at := 0
	for at < len(have) && have[at] == want[at] {
		at++
	}
	if !slices.Equal(have[at:], want[at+1:]) {
		return 0
	}
	return at + 1
}

// HookChange deletes Remove occurrences of a hook, then inserts the hook as the first rule of its built-in chain if
// Insert is set.
type HookChange struct {
	Hook   Hook
	Remove int
	Insert bool
}

// IsEmpty reports whether the change does nothing.
func (c Change) IsEmpty() bool { return len(c.Chains)+len(c.Hooks)+len(c.Delete) == 0 }

// MakesChains reports whether all chains of the change are new: so can the table be.
func (c Change) MakesChains() bool {
	return len(c.Chains) > 0 && !slices.ContainsFunc(c.Chains, func(chain ChainChange) bool { return !chain.Create })
}

// ResetCounters returns the uplinks whose reply counters restart at zero by the change.
func (c Change) ResetCounters() (ids []ID) {
	for _, chain := range c.Chains {
		if id, ok := ParseCounterChain(chain.Name); ok && chain.Added == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}
