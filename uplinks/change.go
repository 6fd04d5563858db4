package uplinks

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"replypath/marks"
)

// Change is a Sync that does all or nothing: when it fails it puts back what it had changed. It also gives what the
// operator should have known beforehand.
func Change(ctx context.Context, k Kernel, s Settings) (Plan, []Finding, error) {
	before, err := observe(ctx, k, s.desired)
	if err != nil {
		return nil, nil, err
	}
	done, err := converge(ctx, k, &before, s.desired)
	if err == nil {
		return done, before.findings(s), nil
	}
	if len(done) == 0 {
		return nil, nil, err
	}
	// What was asked may have been given up because ctx ended; what was changed is put back all the same.
	if _, failed := converge(context.WithoutCancel(ctx), k, nil, before.previousState); failed != nil {
		return done, nil, fmt.Errorf("%w\nand what had been changed could not be put back: %w", err, failed)
	}
	return nil, nil, err
}

// previousState is what was there, but for what somebody had done to our hooks, as far as that is mended, and for all chains of a
// command that could not read one of them.
func (l observation) previousState(_ Facts, now State) State {
	state := l.observed
	state.Hooks, state.Chains = maps.Clone(state.Hooks), maps.Clone(state.Chains)
	for k := range state.Hooks {
		if now.Hooks[k] == hookInPlace {
			state.Hooks[k] = hookInPlace
		}
	}
	for k, rules := range l.observed.Chains {
		if strings.Contains(rules, marks.Unreadable) {
			maps.DeleteFunc(state.Chains, func(c ChainKey, _ string) bool { return c.Tool == k.Tool })
			for c, rules := range now.Chains {
				if c.Tool == k.Tool {
					state.Chains[c] = rules
				}
			}
		}
	}
	return state
}
