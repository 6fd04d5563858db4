package snapshot

import (
	"slices"
	"testing"
)

func TestUndoNamesWhatTheRestoreAddedAndDisplaced(t *testing.T) {
	u := Undo{Before: Document{"route a", "rule twice", "rule old"}, Restored: Document{"rule twice", "rule twice", "rule new", "rule gone"}}
	now := Document{"rule old", "rule twice", "rule twice", "rule new", "rule of others"}
	if got := u.Added(now); !slices.Equal(got, []string{"rule twice", "rule new"}) {
		t.Errorf("added %q", got)
	}
	if got := u.Displaced(now); !slices.Equal(got, []string{"route a"}) {
		t.Errorf("displaced %q", got)
	}
	if got := u.Added(u.Before); len(got) != 0 {
		t.Errorf("added %q to what was there before", got)
	}
	if got := u.Before.With(u.Restored); !slices.Equal(got, []string{"route a", "rule twice", "rule old", "rule twice", "rule new", "rule gone"}) {
		t.Errorf("both: %q", got)
	}
}

func TestUndoneChain(t *testing.T) {
	chain := func(rules ...string) ChainLines { return ChainLines{New: true, Rules: rules} }
	for _, c := range []struct {
		name                          string
		now, before, restored, undone ChainLines
	}{
		{"rules that were added go", chain("a", "b", "c"), chain("b"), chain("a", "b", "c"), chain("b")},
		{"rules of others stay", chain("a", "b", "x"), chain("b"), chain("a", "b"), chain("b", "x")},
		{"the order comes back", chain("a", "b", "c", "x"), chain("c", "b"), chain("a", "b", "c"), chain("c", "b", "x")},
		{"what others have put first stays there", chain("x", "a", "b"), chain("b"), chain("a", "b"), chain("x", "b")},
		{"what others have deleted stays away", chain("a"), chain("b"), chain("a", "b"), chain()},
		{"one of two equal rules goes", chain("a", "a"), chain("a"), chain("a", "a"), chain("a")},
		{"nothing was added", chain("b"), chain("b"), chain("b"), chain("b")},
		{"the policy comes back", ChainLines{Policy: "DROP"}, ChainLines{}, ChainLines{Policy: "DROP"}, ChainLines{}},
		{"a policy of others stays", ChainLines{Policy: "DROP"}, ChainLines{}, ChainLines{}, ChainLines{Policy: "DROP"}},
		{"a chain that was added goes", chain("a"), ChainLines{}, chain("a"), ChainLines{New: true, Gone: true}},
		{"a chain with rules of others stays", chain("a", "x"), ChainLines{}, chain("a"), chain("x")},
	} {
		if got := c.now.Undone(c.before, c.restored); !got.Equal(c.undone) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.undone)
		}
	}
	if c := chain(`-A B -m comment --comment "to A" -j X`, "-A B -g A"); !c.Refers("A") || !c.Refers("X") || c.Refers("B") || c.Refers("to") {
		t.Error("references are wrong")
	}
}
