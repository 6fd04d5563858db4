package marks_test

import (
	"slices"
	"strings"
	"testing"

	"replypath/marks"
)

// change returns a change of every kind: a new chain, a flushed one with a rule of another program, hooks, a deleted chain.
func change() marks.Change {
	return marks.Change{
		Chains: []marks.ChainChange{
			{Name: marks.CounterChain(7), Create: true, Rules: []marks.Rule{{Out: "eth0", Action: marks.Action{Kind: marks.Return}}, {}}},
			{Name: marks.Pre, Rules: []marks.Rule{{Opaque: "-p tcp -j DROP"}}},
			{Name: marks.Prefix + "OLD"},
		},
		Hooks: []marks.HookChange{
			{Hook: marks.Hooks[0], Remove: 2, Insert: true},
			{Hook: marks.Hooks[1], Remove: 1},
		},
		Delete: []string{marks.Prefix + "OLD"},
	}
}

func TestRestoreDeclaresAllChainsFirstAndDeletesLast(t *testing.T) {
	want := `*mangle
:REPLYPATH-S7 - [0:0]
:REPLYPATH-PRE - [0:0]
:REPLYPATH-OLD - [0:0]
-A REPLYPATH-S7 -o eth0 -j RETURN
-A REPLYPATH-S7
-A REPLYPATH-PRE -p tcp -j DROP
-D PREROUTING -j REPLYPATH-PRE
-D PREROUTING -j REPLYPATH-PRE
-I PREROUTING 1 -j REPLYPATH-PRE
-D OUTPUT -j REPLYPATH-OUT
-X REPLYPATH-OLD
COMMIT
`
	if got := change().Restore(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestCommandsAreThoseOfTheRestore(t *testing.T) {
	got := change().Commands()
	if want := []string{"-N REPLYPATH-S7", "-F REPLYPATH-PRE", "-F REPLYPATH-OLD"}; !slices.Equal(got[:3], want) {
		t.Errorf("got %q, want %q", got[:3], want)
	}
	lines := strings.Split(change().Restore(), "\n")
	if rest := lines[4 : len(lines)-2]; !slices.Equal(got[3:], rest) {
		t.Errorf("got\n%q\nwant\n%q", got[3:], rest)
	}
}

func TestResetCountersNamesRewrittenCounterChains(t *testing.T) {
	if got := change().ResetCounters(); !slices.Equal(got, []marks.ID{7}) {
		t.Errorf("got %v", got)
	}
}

func TestIsEmpty(t *testing.T) {
	if !(marks.Change{}).IsEmpty() {
		t.Error("the zero change is not empty")
	}
	c := change()
	for name, part := range map[string]marks.Change{"chains": {Chains: c.Chains}, "hooks": {Hooks: c.Hooks}, "deletions": {Delete: c.Delete}} {
		if part.IsEmpty() {
			t.Errorf("a change of %s is empty", name)
		}
	}
}

func TestChainRulesEqual(t *testing.T) {
	drop, ret := marks.Rule{Opaque: "-j DROP"}, marks.Rule{Action: marks.Action{Kind: marks.Return}}
	for name, c := range map[string]struct {
		a, b marks.ChainRules
		want bool
	}{
		"empty":              {marks.ChainRules{}, marks.ChainRules{Rules: []marks.Rule{}}, true},
		"the same rules":     {marks.ChainRules{Rules: []marks.Rule{drop, ret}}, marks.ChainRules{Rules: []marks.Rule{drop, ret}}, true},
		"another order":      {marks.ChainRules{Rules: []marks.Rule{drop, ret}}, marks.ChainRules{Rules: []marks.Rule{ret, drop}}, false},
		"one rule more":      {marks.ChainRules{Rules: []marks.Rule{ret}}, marks.ChainRules{Rules: []marks.Rule{ret, ret}}, false},
		"unreadable, empty":  {marks.ChainRules{Unreadable: true}, marks.ChainRules{}, false},
		"another opaque one": {marks.ChainRules{Rules: []marks.Rule{drop}}, marks.ChainRules{Rules: []marks.Rule{{Opaque: "-j LOG"}}}, false},
	} {
		if got := c.a.Equal(c.b); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestChainThatLacksOneRuleIsNotFlushed(t *testing.T) {
	rules := []marks.Rule{{In: "eth0"}, {In: "eth1"}, {In: "eth2"}}
	c := marks.Change{Chains: []marks.ChainChange{{Name: marks.CounterChain(7), Rules: rules, Added: 2}}}
	if got, want := c.Restore(), "*mangle\n-I REPLYPATH-S7 2 -i eth1\nCOMMIT\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := c.Commands(), []string{"-I REPLYPATH-S7 2 -i eth1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if ids := c.ResetCounters(); len(ids) > 0 {
		t.Errorf("the counters of %v restart", ids)
	}
}

func TestAddedRuleIsTheOnlyOneThatIsLacking(t *testing.T) {
	a, b, c := marks.Rule{In: "eth0"}, marks.Rule{In: "eth1"}, marks.Rule{In: "eth2"}
	for _, test := range []struct {
		have, want []marks.Rule
		added      int
	}{
		{nil, []marks.Rule{a}, 1},
		{[]marks.Rule{b, c}, []marks.Rule{a, b, c}, 1},
		{[]marks.Rule{a, c}, []marks.Rule{a, b, c}, 2},
		{[]marks.Rule{a, b}, []marks.Rule{a, b, c}, 3},
		{[]marks.Rule{a}, []marks.Rule{a, a}, 2},
		{[]marks.Rule{a, b}, []marks.Rule{a, b}, 0},
		{[]marks.Rule{a}, []marks.Rule{a, b, c}, 0},
		{[]marks.Rule{b, a}, []marks.Rule{a, b, c}, 0},
		{[]marks.Rule{a, b, c}, []marks.Rule{a, b}, 0},
	} {
		if got := marks.AddedRule(test.have, test.want); got != test.added {
			t.Errorf("from %v to %v: %d, want %d", test.have, test.want, got, test.added)
		}
	}
}
