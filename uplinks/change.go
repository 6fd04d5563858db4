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
	done, err := reach(ctx, k, &before, s.desired)
	if err == nil {
		return done, before.findings(s), nil
	}
	if len(done) == 0 {
		return nil, nil, err
	}
	// What was asked may have been given up because ctx ended; what was changed is put back all the same.
	if _, undo := reach(context.WithoutCancel(ctx), k, nil, before.again); undo != nil {
		return done, nil, fmt.Errorf("%w\nand what had been changed could not be put back: %w", err, undo)
	}
	return nil, nil, err
}

// again is what was there, but for what somebody had done to our hooks, as far as that is mended, and for all chains of a
// command that could not read one of them.
func (l look) again(_ Facts, now State) State {
	state := l.have
	state.Hooks, state.Chains = maps.Clone(state.Hooks), maps.Clone(state.Chains)
	for k := range state.Hooks {
		if now.Hooks[k] == inPlace {
			state.Hooks[k] = inPlace
		}
	}
	for k, rules := range l.have.Chains {
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
