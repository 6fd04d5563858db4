package uplinks

// hostStep has the methods of steps that belong to no scope: a partial observation does not read their objects.
type hostStep struct{}

// Scope returns the whole host.
func (hostStep) Scope() Scope { return Scope{} }

func (hostStep) legend() string { return "" }

// chainsStep has the methods of steps that write chains, and what goes with chains.
type chainsStep struct{ hostStep }

// Kind returns KindChains.
func (chainsStep) Kind() Kind { return KindChains }

// udpStep has the methods of steps that write the BPF programs of [udp].
type udpStep struct{ hostStep }

// Kind returns KindUDP.
func (udpStep) Kind() Kind { return KindUDP }
