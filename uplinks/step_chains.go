package uplinks

// Kind returns KindChains.
func (LoadChains) Kind() Kind { return KindChains }

// Removes reports whether no chain of replypath's is left in the firewall.
func (s LoadChains) Removes() bool { return s.Unload }

// Scope returns the whole host.
func (LoadChains) Scope() Scope { return Scope{} }

// WriteTo loads the chains.
func (s LoadChains) WriteTo(w Writer) { w.LoadChains(s) }

func (LoadChains) legend() string { return "" }
