package doctor

import (
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// hooked returns a snapshot of a host with a documented recipe, and with our hook in PREROUTING in that state; nil: the state of
// the host was not read.
func hooked(state *marks.HookState) Snapshot {
	rules, _ := foreign.ParseSave("iptables-save", `*mangle
-A PREROUTING -p tcp -m socket -j DIVERT
-A PREROUTING -i lan0 -p tcp -j TPROXY --on-port 50080 --on-ip 0.0.0.0 --tproxy-mark 0x1/0xffffffff
-A DIVERT -j MARK --set-xmark 0x1/0xffffffff
-A DIVERT -j ACCEPT
-A OTHERS -j MARK --set-xmark 0x1/0xffffffff
COMMIT
`)
	for i := range rules {
		rules[i].Backend = marks.NFT
	}
	s := Snapshot{Settings: uplinks.DefaultSettings(), Firewall: rules}
	if state != nil {
		s.State = uplinks.NewState()
		s.State.Hooks[uplinks.HookKey{Firewall: uplinks.FirewallKey{Family: uplinks.IPv4, Backend: marks.NFT}, Hook: marks.Hooks[0]}] = *state
	}
	return s
}

// A line replaces the rule that it is about, or there is none: the rules of replypath are counted by their place.
func TestLinesAgainstWipedMarksHaveTheNumbersOfTheirRules(t *testing.T) {
	const divert = "iptables -t mangle -R DIVERT 1 -j MARK --set-xmark 0x1/0x1"
	proxy := func(n string) string {
		return "iptables -t mangle -R PREROUTING " + n + " -i lan0 -p tcp -j TPROXY --on-port 50080 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1"
	}
	for name, c := range map[string]struct {
		state *marks.HookState
		want  string
	}{
		"in place":    {&marks.HookState{Count: 1, Reachable: true}, proxy("3")},
		"not applied": {&marks.HookState{}, proxy("2")},
		"unreachable": {&marks.HookState{Count: 1}, "replypath apply"},
		"not read":    {nil, "replypath apply"},
	} {
		found := hooked(c.state).checkWipedMarks()
		if len(found) != 1 || len(found[0].Evidence) != 2 || !slices.Contains(found[0].Commands, divert) ||
			!strings.Contains(found[0].Remedy+strings.Join(found[0].Commands, "; "), c.want) || len(found[0].Commands) > 2 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
