package explain

// FlowReport is a connection for programs.
type FlowReport struct {
	Version  int    `json:"version"`
	Original string `json:"original"`
	Reply    string `json:"reply"`
	Mark     uint32 `json:"mark"`
	State    string `json:"state,omitempty"`
	Answered bool   `json:"answered"`
	Assured  bool   `json:"assured"`
	Timeout  int    `json:"timeout_seconds"`
	Uplink   string `json:"uplink,omitempty"` // that it is pinned to
	Own      bool   `json:"own"`              // this host has begun it: the way is that of its own packets
	Strays   bool   `json:"strays"`
	Way      Report `json:"way"`
}

// FlowReport is the connection for programs.
func (e *Explainer) FlowReport(c Pinned) FlowReport {
	return FlowReport{Version: 1, Original: FlowText(c.Original), Reply: FlowText(c.Reply), Mark: c.Mark, State: c.State, Answered: c.Answered,
		Assured: c.Assured, Timeout: int(c.Timeout.Seconds()), Uplink: c.Uplink, Own: c.Own, Strays: e.Strays(c), Way: e.Report(c.Way)}
}
