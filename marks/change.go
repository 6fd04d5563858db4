package marks

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

// ResetCounters returns the uplinks whose reply counters restart at zero by the change.
func (c Change) ResetCounters() (ids []ID) {
	for _, chain := range c.Chains {
		if id, ok := ParseCounterChain(chain.Name); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
