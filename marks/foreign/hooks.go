package foreign

import (
	"strings"

	"replypath/marks"
)

// FindHooks returns the state of those hooks of replypath that a listing contains. chainRules returns a chain's rules
// as iptables -S prints them, and nil if the chain does not exist. HookState.NativeNFT is not part of a listing and
// stays false.
func FindHooks(chainRules func(chain string) []string) map[marks.Hook]marks.HookState {
	found := map[marks.Hook]marks.HookState{}
	for _, hook := range marks.Hooks {
		lines := chainRules(hook.Builtin)
		var before []string // the rules that are no hooks
		for _, line := range lines {
			rule, err := marks.ParseRule(strings.TrimPrefix(line, "-A "+hook.Builtin))
			h := marks.Hook{Builtin: hook.Builtin, Rule: rule}
			if err != nil || !h.Ours() {
				before = append(before, line)
				continue
			}
			state, exists := found[h]
			if state.Count++; !exists {
				state.Reachable = h.Table() == marks.MasqTable || !Terminates(before, chainRules)
			}
			found[h] = state
		}
	}
	return found
}
