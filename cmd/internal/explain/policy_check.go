package explain

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// PolicyCheck is the way out of a packet for which [outbound] chooses a policy.
type PolicyCheck struct {
	Policy  string         `json:"policy"`
	Family  uplinks.Family `json:"family"`
	By      string         `json:"by"`     // a rule's name, or "default"
	Packet  string         `json:"packet"` // as arguments of ip route get
	Uplinks []string       `json:"uplinks"`
	health.ProofCheck
}

// CheckPolicies looks up the way out of the default policy, for this host's own packets and for those of a host behind it, and of
// each rule that uses a policy, by a packet that fits. lan is that host by family, on the interface of the name.
func (e *Explainer) CheckPolicies(ctx context.Context, f uplinks.Facts, peers map[uplinks.Family]netip.Addr, lan map[uplinks.Family]Sender) ([]PolicyCheck, error) {
	all := []PolicyCheck{}
	o := e.settings.Outbound
	if !o.Enabled() {
		return all, nil
	}
	for _, family := range f.Families() {
		peer, known := peers[family]
		if !known {
			continue
		}
		usual := rpdb.Packet{Family: family, To: peer, Proto: rpdb.UDP}
		packets := []rpdb.Packet{usual}
		if s, ok := lan[family]; ok {
			forwarded := usual
			forwarded.In, forwarded.From = s.Link, s.Addr
			packets = append(packets, forwarded)
		}
		for _, p := range packets {
			c, err := e.checkPolicy(ctx, o.Default, "default", p)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		for _, rule := range o.Rules {
			if p, fits := fittingPacket(rule, usual, lan[family]); fits {
				c, err := e.checkPolicy(ctx, rule.Use, rule.Name, p)
				if err != nil {
					return nil, err
				}
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// Sender is a host behind this one.
type Sender struct {
	Link string
	Addr netip.Addr
}

// fittingPacket changes the packet so that it fits the rule, and reports false for selectors for which there is none that can be
// looked up here.
func fittingPacket(r uplinks.Steering, p rpdb.Packet, lan Sender) (rpdb.Packet, bool) {
	if r.Not || r.Tunnel != 0 || r.L3mdev || r.IPVersion != 0 && uplinks.Family(r.IPVersion) != p.Family {
		return p, false
	}
	var ok bool
	if p.To, ok = addressIn(r.To, p.To); !ok {
		return p, false
	}
	p.Mark, p.TOS, p.Sport, p.Dport, p.Out = uint32(r.Mark), r.TOS, r.Sport.First, r.Dport.First, r.OIF
	if p.Out == "lo" {
		return p, false
	}
	if r.Proto != 0 {
		p.Proto = r.Proto
	}
	if r.UIDs.Set {
		p.UID = r.UIDs.First
	}
	if r.IIF == "lo" || len(r.From) == 0 && r.IIF == "" {
		return p, len(r.From) == 0
	}
	from, ok := addressIn(r.From, lan.Addr)
	if !ok || !lan.Addr.IsValid() || r.IIF != "" && r.IIF != lan.Link || p.UID != 0 || p.Out != "" {
		return p, false
	}
	p.In, p.From = lan.Link, from
	return p, true
}

// addressIn returns the address if it is in one of the networks or there are none, else an address of the first network of its
// family.
func addressIn(networks []netip.Prefix, a netip.Addr) (netip.Addr, bool) {
	if len(networks) == 0 || slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return a, true
	}
	for _, p := range networks {
		if a.IsValid() && uplinks.FamilyOf(p.Addr()) == uplinks.FamilyOf(a) {
			if p.IsSingleIP() {
				return p.Addr(), true
			}
			return p.Masked().Addr().Next(), true
		}
	}
	return a, false
}

// checkPolicy looks up the way out of a packet and compares it with the policy that should choose.
func (e *Explainer) checkPolicy(ctx context.Context, use, by string, p rpdb.Packet) (PolicyCheck, error) {
	c := PolicyCheck{Policy: use, Family: p.Family, By: by, Packet: p.String(), Uplinks: []string{}}
	w, err := e.Trace(ctx, p)
	if err != nil {
		return c, err
	}
	o := e.Outbound(w)
	if o != nil {
		c.Uplinks = o.Uplinks
	}
	c.ProofCheck = e.verdictOf(use, by, o, w)
	return c, nil
}

// verdictOf returns whether the way of the packet is that of the policy.
func (e *Explainer) verdictOf(use, by string, o *Outbound, w Trace) health.ProofCheck {
	no := func(cause health.Cause, detail, remedy string) health.ProofCheck {
		return health.ProofCheck{Result: health.No, Cause: cause, Detail: detail, Remedy: remedy}
	}
	_, isPolicy := e.settings.Outbound.Policy(use)
	switch {
	case w.NotQueried != "":
		return health.ProofCheck{Result: health.Unknown, Cause: health.OtherCause, Detail: "the kernel has no look-up for it: " + w.NotQueried}
	case w.Mismatch != "":
		return no(health.OtherCause, "the kernel disagrees with its rules: "+w.Mismatch, "replypath explain "+w.Packet.String())
	case o == nil:
		s := last(w.Result.Steps)
		return no(health.RuleShadowed, fmt.Sprintf("rule %d (%s) of %s decides before [outbound]: %s", s.Rule.Priority, s.Rule.Text(e.names), ownerText(w.Database.Owner(s.Rule, e.names)), e.Summarize(w)),
			"give that rule a priority above 32000, or apply the configuration: replypath plan")
	case o.By == uplinks.RuleMain:
		return health.ProofCheck{Result: health.Unknown, Cause: health.OtherCause, Detail: "main has a route to " + w.Packet.To.String() + ", which comes before the policies"}
	case by != "default" && o.Rule != by, by == "default" && o.By != uplinks.RuleDefault:
		return health.ProofCheck{Result: health.Unknown, Cause: health.OtherCause, Detail: "another rule of the configuration fits the same packet: " + string(o.By) + " " + o.Rule}
	case !isPolicy: // main, or a refusal
		return health.ProofCheck{Result: health.Yes}
	case o.Policy != use:
		return no(health.RuleShadowed, "policy "+use+" has no route for it: "+e.Summarize(w), "replypath plan")
	case o.Tier == 0:
		return health.ProofCheck{Result: health.Yes, Cause: health.OtherCause, Detail: "no uplink of policy " + use + " is usable: " + e.Summarize(w), Remedy: "replypath status"}
	}
	return health.ProofCheck{Result: health.Yes}
}
