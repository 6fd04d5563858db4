package explain

import (
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Report is a Trace in JSON.
type Report struct {
	Version int          `json:"version"`
	Packet  string       `json:"packet"` // as arguments of ip route get
	Steps   []RuleVisit  `json:"steps"`
	Back    []RuleVisit  `json:"back,omitempty"` // look-up of the source check
	Route   *RouteReport `json:"route,omitempty"`
	Error   string       `json:"error,omitempty"`
	Dropped string       `json:"dropped,omitempty"`
	Link    string       `json:"link,omitempty"`
	Uplink  string       `json:"uplink,omitempty"`
	// Outbound says how [outbound] chose; nil if it did not.
	Outbound *Outbound    `json:"outbound,omitempty"`
	Kernel   KernelReport `json:"kernel"`
	Arrives  bool         `json:"arrives"`
	Summary  string       `json:"words"`
	// Intercepted is absent unless a transparent proxy is configured for the packet.
	Intercepted *InterceptionReport `json:"intercepted,omitempty"`
}

// InterceptionReport is an Interception in JSON.
type InterceptionReport struct {
	Intercept string             `json:"intercept"`
	Port      uint16             `json:"port"`
	State     uplinks.ProxyState `json:"state"`
	Taken     bool               `json:"taken"`
}

// RuleVisit is an evaluated rule in JSON.
type RuleVisit struct {
	Priority uint32       `json:"priority"`
	Owner    string       `json:"owner"`
	Rule     string       `json:"rule"`
	Outcome  string       `json:"outcome"`
	Why      string       `json:"why,omitempty"`
	Route    *RouteReport `json:"found,omitempty"`
}

// RouteReport is a route in JSON.
type RouteReport struct {
	Table uint32 `json:"table"`
	Name  string `json:"name"`
	Route string `json:"route"`
}

// KernelReport is the kernel's answer in JSON.
type KernelReport struct {
	Queried bool   `json:"asked"`
	Agrees  bool   `json:"agrees"`
	Why     string `json:"why,omitempty"` // it was not queried, or differs
	Answer  string `json:"answer,omitempty"`
}

// Report returns the trace for JSON.
func (e *Explainer) Report(w Trace) Report {
	j := w.Result
	r := Report{Version: 1, Packet: w.Packet.String(), Steps: e.visitReports(w.Database, j.Steps), Dropped: j.DropReason, Link: w.Link(),
		Arrives: w.Arrives(), Summary: e.Summarize(w), Outbound: e.Outbound(w), Kernel: KernelReport{Queried: w.NotQueried == "", Why: w.NotQueried + w.Mismatch}}
	if i := w.Interception; i != nil {
		r.Intercepted = i.report()
	}
	if len(j.Reverse) > 0 {
		r.Back = e.visitReports(w.Database, j.Reverse)
	}
	if j.Route != nil {
		r.Route = e.routeReport(j.Route)
	}
	if j.Error != 0 {
		r.Error = j.Error.Error()
	}
	if u, ok := e.egressUplink(w); ok {
		r.Uplink = u.Name
	}
	if r.Kernel.Queried {
		r.Kernel.Agrees, r.Kernel.Answer = w.Mismatch == "", formatAnswer(w.Resolved)
	}
	return r
}

func (e *Explainer) visitReports(d *rpdb.Database, steps []rpdb.Step) []RuleVisit {
	all := []RuleVisit{}
	for _, s := range steps {
		v := RuleVisit{Priority: uint32(s.Rule.Priority), Owner: d.Owner(s.Rule, e.names), Rule: s.Rule.Text(e.names),
			Outcome: strings.ReplaceAll(string(s.Outcome), " ", "_"), Why: s.Mismatch}
		if s.Route != nil {
			v.Route = e.routeReport(s.Route)
		}
		all = append(all, v)
	}
	return all
}

func (e *Explainer) routeReport(r *rpdb.Route) *RouteReport {
	return &RouteReport{uint32(r.Table), e.names.TableName(r.Table), r.String()}
}

func (i *Interception) report() *InterceptionReport {
	return &InterceptionReport{i.Intercept, i.Proxy.Port, i.State, i.Takes()}
}
