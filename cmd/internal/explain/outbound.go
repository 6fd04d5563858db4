package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Outbound says how [outbound] chose for a packet.
type Outbound struct {
	By      uplinks.OutboundRuleKind `json:"by"`               // what decided, of the configuration
	Rule    string                   `json:"rule,omitempty"`   // of the configuration, if one decided
	Policy  string                   `json:"policy,omitempty"` // that was used; empty: none
	Tier    int                      `json:"tier,omitempty"`   // in use, from 1; 0: none
	Uplinks []string                 `json:"uplinks"`          // in use by the policy, or the one that decided
	Unused  []string                 `json:"unused"`           // the other members of the policy
	Skipped []SkippedRule            `json:"skipped"`          // rules of the configuration that do not fit
}

// SkippedRule is a rule of the configuration that does not fit a packet.
type SkippedRule struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Outbound returns how [outbound] chose for the packet; nil if it was decided before its rules, or it is not configured.
func (e *Explainer) Outbound(w Trace) *Outbound {
	o := Outbound{Uplinks: []string{}, Unused: []string{}, Skipped: []SkippedRule{}}
	for _, s := range w.Result.Steps {
		rule, ours := e.settings.OutboundRuleAt(s.Rule.Priority)
		if !ours || s.Rule.Protocol != uplinks.Protocol {
			continue
		}
		if s.Outcome == rpdb.NotMatched {
			if rule.Kind == uplinks.RuleConfigured && !slices.ContainsFunc(o.Skipped, func(r SkippedRule) bool { return r.Name == rule.Rule }) {
				o.Skipped = append(o.Skipped, SkippedRule{rule.Rule, mismatchText(s)})
			}
			continue
		}
		o.follow(e.settings, rule, s)
	}
	if o.By == "" {
		return nil
	}
	return &o
}

// follow takes one step that fits.
func (o *Outbound) follow(s uplinks.Settings, rule uplinks.OutboundRule, step rpdb.Step) {
	decided := step.Outcome == rpdb.Decided
	switch rule.Kind {
	case uplinks.RuleMarked, uplinks.RuleDefault:
		o.By = rule.Kind
	case uplinks.RuleMain, uplinks.RulePrefix:
		if decided {
			o.By = rule.Kind
			o.Uplinks = routeUplinks(s, step.Route)
		}
	case uplinks.RuleDevice:
		if decided {
			o.By, o.Uplinks = rule.Kind, []string{rule.Uplink}
		}
	case uplinks.RuleConfigured:
		o.By, o.Rule = rule.Kind, rule.Rule
	case uplinks.RulePolicy:
		o.Policy = rule.Policy
		if decided {
			o.use(s, step)
		}
	}
}

// use takes the step by which a policy decides.
func (o *Outbound) use(s uplinks.Settings, step rpdb.Step) {
	p, _ := s.Outbound.Policy(o.Policy)
	if o.Uplinks = routeUplinks(s, step.Route); len(o.Uplinks) == 0 {
		o.Uplinks = []string{}
	}
	for tier, members := range p.Tiers {
		for _, m := range members {
			if slices.Contains(o.Uplinks, m.Uplink) {
				o.Tier = tier + 1
			} else {
				o.Unused = append(o.Unused, m.Uplink)
			}
		}
	}
}

// routeUplinks returns the uplinks by which a route leads.
func routeUplinks(s uplinks.Settings, r *rpdb.Route) (names []string) {
	if r == nil {
		return nil
	}
	for _, u := range s.Uplinks {
		if slices.ContainsFunc(r.Hops, func(h rpdb.Hop) bool { return h.Link == u.Link && !h.Dead }) {
			names = append(names, u.Name)
		}
	}
	return names
}

// print writes it as text.
func (o *Outbound) print(out io.Writer) {
	if o == nil {
		return
	}
	for _, r := range o.Skipped {
		fmt.Fprintf(out, "outbound: rule %s does not fit: %s\n", r.Name, r.Why)
	}
	by := map[uplinks.OutboundRuleKind]string{
		uplinks.RuleMarked:     "the packet has the mark of an uplink, which its connection keeps",
		uplinks.RuleMain:       "main has a route to this network",
		uplinks.RulePrefix:     "the source is of a network of " + strings.Join(o.Uplinks, ", "),
		uplinks.RuleDevice:     "the socket is bound to the interface of " + strings.Join(o.Uplinks, ", "),
		uplinks.RuleConfigured: "rule " + o.Rule + " decides",
		uplinks.RuleDefault:    "no rule fits: the default decides",
	}[o.By]
	fmt.Fprintf(out, "outbound: %s\n", by)
	if o.Policy == "" {
		return
	}
	text := fmt.Sprintf("tier %d: %s", o.Tier, strings.Join(o.Uplinks, ", "))
	if o.Tier == 0 {
		text = "no uplink is usable"
	}
	if len(o.Unused) > 0 {
		text += "; not in use: " + strings.Join(o.Unused, ", ")
	}
	fmt.Fprintf(out, "outbound: policy %s, %s\n", o.Policy, text)
}
