package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
	"replypath/uplinks/snapshot"
)

// Restoration is what a restore changes.
type Restoration struct {
	Ours   uplinks.Plan
	Others []RestoreStep
	// LeftOut are lines of the snapshot that cannot be restored, with the reason.
	LeftOut []string
	// undoes has what is replypath's removed also after a failure: the rollback of a change that has cut the operator off.
	undoes bool
}

// IsEmpty reports whether nothing is to be done.
func (r Restoration) IsEmpty() bool { return len(r.Ours)+len(r.Others) == 0 }

// String returns the shell commands that do the same, one a line.
func (r Restoration) String() string {
	var b strings.Builder
	for _, s := range r.Others {
		b.WriteString(s.text + "\n")
	}
	return b.String() + r.Ours.String()
}

// RestoreStep puts back a part of what belongs to other programs.
type RestoreStep struct {
	Kind uplinks.Kind
	text string
	do   func(ctx context.Context) error
}

// String returns the shell commands that do the same, one a line.
func (s RestoreStep) String() string { return s.text }

// Do makes the change.
func (s RestoreStep) Do(ctx context.Context) error { return s.do(ctx) }

// PlanRestore returns what is to be changed so that all of replypath's is as in the snapshot, and with all, so that nothing of other
// programs is missing that the snapshot has.
func (h *Host) PlanRestore(ctx context.Context, d snapshot.Document, all bool) (r Restoration, err error) {
	p, have, err := h.newRestorePlanner(ctx)
	if err != nil {
		return r, err
	}
	want := p.ours(d)
	if err := h.backup.belongingTo(want, have); err != nil {
		return r, err
	}
	r.Ours = uplinks.Diff(want, have)
	if all {
		now, err := h.Snapshot(ctx)
		if err != nil {
			return r, err
		}
		r.Others = p.others(d, now)
	}
	r.LeftOut = p.leftOut
	return r, nil
}

// Restore makes the changes, and reads back that nothing is left to be done.
func (h *Host) Restore(ctx context.Context, d snapshot.Document, all bool) (done Restoration, err error) {
	return h.executeRestoration(ctx, func() (Restoration, error) { return h.PlanRestore(ctx, d, all) })
}

// restoreAttempts bounds the rounds of a restore: some sysctls set others, and other programs may write at the same time.
const restoreAttempts = 3

// executeRestoration makes what a plan changes, and plans again until nothing is left to be done.
func (h *Host) executeRestoration(ctx context.Context, plan func() (Restoration, error)) (done Restoration, err error) {
	for range restoreAttempts {
		next, err := plan()
		if done.LeftOut = next.LeftOut; err != nil || next.IsEmpty() {
			return done, err
		}
		made, err := next.Execute(ctx, h, RestoreStep.Do)
		done.Ours, done.Others = append(done.Ours, made.Ours...), append(done.Others, made.Others...)
		if err != nil {
			return done, err
		}
	}
	left, err := plan()
	if err == nil && !left.IsEmpty() {
		err = fmt.Errorf("the kernel still differs from the snapshot; remaining steps:\n%s", left)
	}
	return done, err
}

// Execute makes the changes by a kernel and a function. What belongs to other programs comes first. After a failure nothing of
// replypath's is removed, unless a restore is undone.
func (r Restoration) Execute(ctx context.Context, k uplinks.Kernel, do func(RestoreStep, context.Context) error) (done Restoration, err error) {
	done.LeftOut = r.LeftOut
	var failed []error
	for _, s := range r.Others {
		if err := do(s, ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", firstLine(s.text), err))
			continue
		}
		done.Others = append(done.Others, s)
	}
	ours := r.Ours
	if len(failed) > 0 && !r.undoes {
		ours = slices.DeleteFunc(slices.Clone(ours), uplinks.Step.Removes)
	}
	done.Ours, err = uplinks.Execute(ctx, k, ours)
	return done, errors.Join(append(failed, err)...)
}

// restorePlanner reads the lines of a snapshot.
type restorePlanner struct {
	host    *Host
	facts   uplinks.Facts
	routes  rtnl.RouteLines
	leftOut []string
}

// newRestorePlanner returns a planner, and what replypath has in the kernel.
func (h *Host) newRestorePlanner(ctx context.Context) (p restorePlanner, have uplinks.State, err error) {
	p.host = h
	h.confinesSources = true // the snapshot may have them
	if p.facts, have, err = h.Observe(ctx); err == nil {
		p.routes, err = h.links.NewRouteLines(ctx)
	}
	return p, have, err
}

// skip notes a line that cannot be restored.
func (p *restorePlanner) skip(line string, err error) {
	if text := fmt.Sprintf("%s: %v", line, err); !slices.Contains(p.leftOut, text) {
		p.leftOut = append(p.leftOut, text)
	}
}

// ours returns the state of replypath in the snapshot.
func (p *restorePlanner) ours(d snapshot.Document) uplinks.State {
	want := uplinks.NewState()
	p.eachFamily(d, snapshot.KindRule, func(f uplinks.Family, text string) error {
		r, err := rtnl.ParseRuleLine(text, f)
		if err == nil && r.Protocol == uplinks.Protocol {
			want.Rules[r.Rule] = true
		}
		return err
	})
	p.eachFamily(d, snapshot.KindRoute, func(f uplinks.Family, text string) error {
		if !isOurRoute(text) { // others need not be read, and their links may be gone
			return nil
		}
		r, err := p.routes.Parse(text, f)
		if err == nil {
			want.Routes[r.Key] = r.Route
		}
		return err
	})
	p.tunables(d, want)
	p.chains(d, want)
	return want
}

// isOurRoute reports whether the line of a route has replypath's protocol.
func isOurRoute(text string) bool {
	return strings.Contains(text+" ", fmt.Sprintf(" protocol %d ", uplinks.Protocol))
}

// eachFamily calls do with each line of the kind behind its family.
func (p *restorePlanner) eachFamily(d snapshot.Document, kind string, do func(uplinks.Family, string) error) {
	for _, l := range d.Of(kind) {
		name, text, _ := strings.Cut(l, " ")
		var f uplinks.Family
		err := f.UnmarshalText([]byte(name))
		if err == nil {
			err = do(f, text)
		}
		if err != nil {
			p.skip(kind+" "+l, err)
		}
	}
}

// tunables adds the tunables that replypath had set. Those that it has set since get their originals back.
func (p *restorePlanner) tunables(d snapshot.Document, want uplinks.State) {
	for _, v := range p.values(d) {
		if v.ours {
			want.Tunables[v.tunable] = v.value
		}
	}
	for t, original := range p.facts.Originals {
		if _, set := want.Tunables[t]; !set {
			want.Restored[t] = original
		}
	}
}

// savedValue is a tunable of a snapshot.
type savedValue struct {
	tunable uplinks.Tunable
	value   string
	ours    bool // replypath had set it
}

// values returns the tunables of a document.
func (p *restorePlanner) values(d snapshot.Document) (all []savedValue) {
	for _, kind := range []string{snapshot.KindGroup, snapshot.KindSysctl} {
		for _, l := range d.Of(kind) {
			name, value, was, err := snapshot.ParseValue(l)
			if err != nil {
				p.skip(kind+" "+l, err)
				continue
			}
			t := uplinks.Tunable{Link: name, Name: uplinks.LinkGroup}
			if kind == snapshot.KindSysctl {
				t = uplinks.ParseSysctl(name)
			}
			all = append(all, savedValue{t, value, was})
		}
	}
	return all
}

// chains adds the chains and hooks, in the backends that are there now.
func (p *restorePlanner) chains(d snapshot.Document, want uplinks.State) {
	p.eachChain(d, snapshot.KindChain, func(k uplinks.FirewallKey, name, _ string) error {
		want.Chains[uplinks.ChainKey{Firewall: k, Name: name}] = marks.ChainRules{}
		return nil
	})
	p.eachChain(d, snapshot.KindAppend, func(k uplinks.FirewallKey, name, text string) error {
		r, err := parseRuleWords(text)
		if err != nil {
			return err
		}
		key := uplinks.ChainKey{Firewall: k, Name: name}
		c := want.Chains[key]
		c.Rules = append(c.Rules, r)
		want.Chains[key] = c
		return nil
	})
	p.eachChain(d, snapshot.KindHook, func(k uplinks.FirewallKey, name, text string) error {
		r, err := parseRuleWords(text)
		if err == nil {
			want.Hooks[uplinks.HookKey{Firewall: k, Hook: marks.Hook{Builtin: name, Rule: r}}] = marks.HookState{Count: 1, Reachable: true}
		}
		return err
	})
}

// eachChain calls do with each line of the kind behind its chain.
func (p *restorePlanner) eachChain(d snapshot.Document, kind string, do func(k uplinks.FirewallKey, name, text string) error) {
	p.eachFamily(d, kind, func(f uplinks.Family, l string) error {
		backend, rest, _ := strings.Cut(l, " ")
		t := p.host.firewall.table(f, marks.Backend(backend))
		if t == nil {
			return fmt.Errorf("this host has no firewall %s of %s: install the commands of iptables", backend, f)
		}
		name, text, _ := strings.Cut(rest, " ")
		return do(firewallKey(f, t), name, text)
	})
}
