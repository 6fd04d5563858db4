package explain

// FlowReport is a connection in JSON.
type FlowReport struct {
	Version    int    `json:"version"`
	Original   string `json:"original"`
	Reply      string `json:"reply"`
	Mark       uint32 `json:"mark"`
	State      string `json:"state,omitempty"`
	Answered   bool   `json:"answered"`
	Assured    bool   `json:"assured"`
	Offloaded  bool   `json:"accelerated,omitempty"` // it is in a flow table
	Timeout    int    `json:"timeout_seconds"`
	Uplink     string `json:"uplink,omitempty"` // of its mark
	Originated bool   `json:"own"`              // opened by this host
	Strays     bool   `json:"strays"`
	Trace      Report `json:"way"`
	// Intercepted is absent unless a transparent proxy that is configured has taken the connection.
	Intercepted *InterceptionReport `json:"intercepted,omitempty"`
}

// ReportFlow returns the connection for JSON.
func (e *Explainer) ReportFlow(c Flow) FlowReport {
	r := FlowReport{Version: 1, Original: FormatFlow(c.Original), Reply: FormatFlow(c.Reply), Mark: c.Mark, State: c.State, Answered: c.SeenReply,
		Assured: c.Assured, Offloaded: c.Offloaded, Timeout: int(c.Timeout.Seconds()), Uplink: c.Uplink, Originated: c.Originated, Strays: e.Strays(c), Trace: e.Report(c.Trace)}
	if c.Proxy != nil {
		r.Intercepted = c.Proxy.report()
	}
	return r
}
