package uplinks

import (
	"context"
	"fmt"
	"maps"

	"replypath/marks"
)

// Change applies the settings entirely or not at all: on failure it reverts its steps, also when ctx has ended. It returns the
// steps and the observation before them, for package inspect.
func Change(ctx context.Context, k Kernel, s Settings) (Plan, Observation, error) {
	before, err := observe(ctx, k, s.desired)
	if err != nil {
		return nil, Observation{}, err
	}
	done, err := converge(ctx, k, &before, s.desired)
	if err == nil {
		return done, before, nil
	}
	if len(done) == 0 {
		return nil, before, err
	}
	// A caller that gives up ends ctx; the steps that it took must still be reverted.
	if _, failed := converge(context.WithoutCancel(ctx), k, nil, before.previousState); failed != nil {
		return done, before, fmt.Errorf("%w\nand the steps before it could not be reverted: %w", err, failed)
	}
	return nil, before, err
}

// previousState returns the observed state, to which a failed change reverts. A hook that the change has put in place stays,
// and so do all chains of a firewall that had an unreadable one: it cannot be written again.
func (o Observation) previousState(_ Facts, now State) State {
	state := o.Observed
	state.Hooks, state.Chains = maps.Clone(state.Hooks), maps.Clone(state.Chains)
	for k := range state.Hooks {
		if now.Hooks[k] == hookInPlace {
			state.Hooks[k] = hookInPlace
		}
	}
	for k, rules := range o.Observed.Chains {
		if rules.Unreadable {
			maps.DeleteFunc(state.Chains, func(c ChainKey, _ marks.ChainRules) bool { return c.Firewall == k.Firewall })
			for c, rules := range now.Chains {
				if c.Firewall == k.Firewall {
					state.Chains[c] = rules
				}
			}
		}
	}
	return state
}
