package explain

import (
	"strings"

	"replypath/uplinks/rpdb"
)

// Report is a way for programs.
type Report struct {
	Version int     `json:"version"`
	Packet  string  `json:"packet"` // as ip-route(8) takes it behind "get"
	Steps   []Visit `json:"steps"`
	Back    []Visit `json:"back,omitempty"` // of the source check
	Route   *Found  `json:"route,omitempty"`
	Error   string  `json:"error,omitempty"`
	Dropped string  `json:"dropped,omitempty"`
	Link    string  `json:"link,omitempty"`
	Uplink  string  `json:"uplink,omitempty"`
	Kernel  Kernel  `json:"kernel"`
	Arrives bool    `json:"arrives"`
	Words   string  `json:"words"`
}

// Visit is a visit to a rule, for programs.
type Visit struct {
	Priority uint32 `json:"priority"`
	Owner    string `json:"owner"`
	Rule     string `json:"rule"`
	Outcome  string `json:"outcome"`
	Why      string `json:"why,omitempty"`
	Found    *Found `json:"found,omitempty"`
}

// Found is a route, for programs.
type Found struct {
	Table uint32 `json:"table"`
	Name  string `json:"name"`
	Route string `json:"route"`
}

// Kernel is what the kernel says to the same question.
type Kernel struct {
	Asked  bool   `json:"asked"`
	Agrees bool   `json:"agrees"`
	Why    string `json:"why,omitempty"` // it was not asked, or does not agree
	Answer string `json:"answer,omitempty"`
}

// Report is the way for programs.
func (e *Explainer) Report(w Way) Report {
	j := w.Judgement
	r := Report{Version: 1, Packet: w.Packet.String(), Steps: e.visits(w.Database, j.Steps), Dropped: j.Drop, Link: w.Link(),
		Arrives: w.Arrives(), Words: e.Words(w), Kernel: Kernel{Asked: w.Unaskable == "", Why: w.Unaskable + w.Differs}}
	if len(j.Back) > 0 {
		r.Back = e.visits(w.Database, j.Back)
	}
	if j.Route != nil {
		r.Route = e.found(j.Route)
	}
	if j.Error != 0 {
		r.Error = j.Error.Error()
	}
	if u, ok := e.uplink(r.Link); ok {
		r.Uplink = u.Name
	}
	if r.Kernel.Asked {
		r.Kernel.Agrees, r.Kernel.Answer = w.Differs == "", said(w.Chosen)
	}
	return r
}

func (e *Explainer) visits(d *rpdb.Database, steps []rpdb.Step) []Visit {
	all := []Visit{}
	for _, s := range steps {
		v := Visit{Priority: uint32(s.Rule.Priority), Owner: d.Owner(s.Rule, e.names), Rule: s.Rule.Text(e.names),
			Outcome: strings.ReplaceAll(string(s.Outcome), " ", "_"), Why: s.Why}
		if s.Route != nil {
			v.Found = e.found(s.Route)
		}
		all = append(all, v)
	}
	return all
}

func (e *Explainer) found(r *rpdb.Route) *Found {
	return &Found{uint32(r.Table), e.names.Table(r.Table), r.String()}
}
