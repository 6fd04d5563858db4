package uplinks

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"replypath/marks"
)

// Change does what Sync does, all or nothing but for paths that are left out: on failure it reverts the steps that it took,
// also when ctx has ended. It returns the steps and the observation before them, for package inspect.
func Change(ctx context.Context, k Kernel, s Settings) (Plan, Observation, error) {
	t := &settingsTarget{settings: s, change: true}
	before, err := observe(ctx, k, t)
	if err != nil {
		return nil, Observation{}, err
	}
	done, err := converge(ctx, k, &before, t)
	if err == nil {
		return t.lasting(done), t.review(before), nil
	}
	if len(done) == 0 {
		return nil, before, err
	}
	// A caller that gives up ends ctx; the steps that it took must still be reverted.
	if _, failed := converge(context.WithoutCancel(ctx), k, nil, previousTarget{before, t}); failed != nil {
		return done, before, fmt.Errorf("%w\nand the steps before it could not be reverted: %w", err, failed)
	}
	return nil, before, err
}

// settingsTarget is the state of settings, without the paths that the kernel refuses: they stay as they were. Without health
// checking every verdict is unknown.
type settingsTarget struct {
	settings Settings
	verdicts Verdicts
	change   bool // or a Sync
	refused  map[PathKey]string
	before   *State // observed before the first step
	between  *State // the last one before the desired state that it has aimed at
	latest   Facts  // observed last
}

// withProgramsRefused returns the facts with why the kernel refuses BPF programs as later ones have it: some it refuses when they are
// attached.
func (f Facts) withProgramsRefused(later Facts) Facts {
	f.UDPRefused, f.EgressFilterRefused, f.RouterClassifierRefused = later.UDPRefused, later.EgressFilterRefused, later.RouterClassifierRefused
	return f
}

// sameProgramsRefused reports whether withProgramsRefused would change nothing.
func (f Facts) sameProgramsRefused(later Facts) bool {
	return f.UDPRefused == later.UDPRefused && f.EgressFilterRefused.equal(later.EgressFilterRefused) && f.RouterClassifierRefused.equal(later.RouterClassifierRefused)
}

// aim implements target.
func (t *settingsTarget) aim(f Facts, have State) Observation {
	if t.before == nil {
		t.before = &have
	}
	t.latest = f
	s := t.settings.ResolveLinks(f)
	f = f.WithRefused(s, *t.before, t.refused)
	o := Observation{Facts: f, Observed: have}
	if _, next, between := DesiredNext(s, f, t.verdicts, have); between {
		o.between, o.Desired = &next, Desired(s, f, t.verdicts)
		t.between = &next
	} else {
		o.Desired = next
	}
	return o
}

// review returns the observation before the first step with what became known since: paths and programs that the kernel refuses.
func (t *settingsTarget) review(before Observation) Observation {
	if len(t.refused) == 0 && before.Facts.sameProgramsRefused(t.latest) {
		return before
	}
	return t.aim(before.Facts.withProgramsRefused(t.latest), before.Observed)
}

// leaveOut implements target.
func (t *settingsTarget) leaveOut(err error) bool {
	known := len(t.refused)
	t.refused = refusals(t.refused, t.settings.RefusedRoutes(err))
	return len(t.refused) > known
}

// reverts implements target.
func (t *settingsTarget) reverts() bool { return t.change }

// lasting returns the steps without those that set a refused path's routes, or deleted them again.
func (t *settingsTarget) lasting(done Plan) Plan {
	return slices.DeleteFunc(done, func(s Step) bool {
		var key RouteKey
		switch s := s.(type) {
		case SetRoute:
			key = s.Key
		case DelRoute:
			key = s.Key
		default:
			return false
		}
		return slices.ContainsFunc(t.settings.Uplinks, func(u Uplink) bool {
			_, is := t.refused[PathKey{u.Name, key.Family}]
			return is && t.settings.Table(u) == key.Table
		})
	})
}

// previousTarget is the state before a change, to which a failed change reverts: by the state between both if the change had one.
type previousTarget struct {
	before Observation
	change *settingsTarget
}

// leaveOut implements target.
func (previousTarget) leaveOut(error) bool { return false }

// reverts implements target.
func (previousTarget) reverts() bool { return false }

// aim implements target. A hook that the change has put in place stays, and so do all chains of a firewall that had an
// unreadable one: it cannot be written again.
func (t previousTarget) aim(f Facts, now State) Observation {
	state := t.before.Observed
	state.Hooks, state.Chains = maps.Clone(state.Hooks), maps.Clone(state.Chains)
	for k := range state.Hooks {
		if now.Hooks[k] == hookInPlace {
			state.Hooks[k] = hookInPlace
		}
	}
	for k, rules := range t.before.Observed.Chains {
		if rules.Unreadable {
			maps.DeleteFunc(state.Chains, func(c ChainKey, _ marks.ChainRules) bool { return c.Firewall == k.Firewall })
			for c, rules := range now.Chains {
				if c.Firewall == k.Firewall {
					state.Chains[c] = rules
				}
			}
		}
	}
	o := Observation{Facts: f, Observed: now, Desired: state}
	if t.change.between != nil && len(t.change.settings.exchangedIDs(state, now)) > 0 {
		o.between = t.change.between
	}
	return o
}
