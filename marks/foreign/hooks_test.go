package foreign_test

import (
	"maps"
	"testing"

	"replypath/marks"
	"replypath/marks/foreign"
)

func TestFindHooksReportsCountAndReachability(t *testing.T) {
	listing := map[string][]string{
		"PREROUTING":  {"-P PREROUTING ACCEPT", "-A PREROUTING -i lan0 -j LOG", "-A PREROUTING -j REPLYPATH-PRE", "-A PREROUTING -j ACCEPT", "-A PREROUTING -j REPLYPATH-PRE"},
		"OUTPUT":      {"-P OUTPUT ACCEPT", "-A OUTPUT -o lan0 -j ACCEPT", "-A OUTPUT -j REPLYPATH-OUT"},
		"POSTROUTING": {"-P POSTROUTING ACCEPT", "-A POSTROUTING -j REPLYPATH-POST", "-A POSTROUTING -o lan0 -j REPLYPATH-POST"},
	}
	want := map[marks.Hook]marks.HookState{
		marks.Hooks[0]: {Count: 2, Reachable: true},
		marks.Hooks[1]: {Count: 1},
		{Builtin: "POSTROUTING", Rule: marks.Rule{Action: marks.Hooks[2].Rule.Action}}: {Count: 1, Reachable: true},
	}
	got := foreign.FindHooks(func(chain string) []string { return listing[chain] })
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
