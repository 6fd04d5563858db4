package uplinkstest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
)

// Conformance tests the documented properties of uplinks.Sync and uplinks.Change. open returns a new World with the
// Interfaces and without objects of replypath's. The properties are tested in parallel, each in Worlds of its own.
func Conformance(t *testing.T, open func(t *testing.T) World) {
	for _, property := range []struct {
		name  string
		check func(t *testing.T, open func(t *testing.T) World)
	}{
		{"a second sync writes nothing", secondSyncWritesNothing},
		{"a preview writes nothing", previewWritesNothing},
		{"damage is repaired", damageIsRepaired},
		{"a partial observation equals that part of a full one", scopesMatchFullObservation},
		{"removing an uplink changes no other", removalKeepsOthers},
		{"adding an uplink changes no other", additionKeepsOthers},
		{"a flush restores the host", flushRestoresHost},
		{"a flush keeps values that another program has set", flushKeepsForeignValues},
		{"a flush restores the host after a crash at any step", flushAfterCrash},
		{"renumbering leaves nothing behind", renumberingLeavesNothing},
		{"an absent link is no error", absentLinkIsNoError},
		{"a failed change is reverted", failedChangeIsReverted},
		{"an interrupted change is reverted", interruptedChangeIsReverted},
		{"a refused path is left out", refusedPathIsLeftOut},
		{"a refused path stays as it was", refusedPathStaysAsItWas},
		{"a refusal beside another failure", refusalBesideAnotherFailure},
	} {
		t.Run(property.name, func(t *testing.T) {
			t.Parallel()
			property.check(t, func(t *testing.T) World {
				w := open(t)
				addForeignObjects(t, w)
				return w
			})
		})
	}
}

// addForeignObjects adds foreign rules and routes with the priorities and in the tables of replypath's, and foreign chains.
func addForeignObjects(t *testing.T, w World) {
	t.Helper()
	facts, _ := observe(t, w)
	like := uplinks.Desired(Settings(), facts, nil)
	for r := range like.Rules {
		if r.IIF == "" && r.From == (netip.Prefix{}) {
			w.ApplyForeign(t, ForeignRule{r})
		}
	}
	for k, r := range like.Routes {
		if r.Type == uplinks.Unicast && k.Dst != k.Family.DefaultPrefix() && !k.Dst.Addr().IsLinkLocalUnicast() {
			k.Metric, r.Protocol = 77, foreignProtocol
			w.ApplyForeign(t, uplinks.SetRoute{Key: k, Route: r})
		}
	}
	for _, firewall := range facts.Firewalls {
		w.ApplyForeign(t, Iptables(firewall, "-N FOREIGN", "-A FOREIGN -i lan0 -j RETURN", "-A PREROUTING -j FOREIGN",
			"-A OUTPUT -o lan0 -j ACCEPT", "-A POSTROUTING -o lan0 -j ACCEPT"))
	}
	if w.DumpForeign(t) == "" {
		t.Fatal("DumpForeign has no foreign object")
	}
}

// observe returns the facts and the state of the world.
func observe(t *testing.T, w World) (uplinks.Facts, uplinks.State) {
	t.Helper()
	facts, have, err := w.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return facts, have
}

// dumpState prints replypath's objects and the tunables.
func dumpState(t *testing.T, w World) string {
	t.Helper()
	_, have := observe(t, w)
	return Dump(have)
}

// mustSync syncs, and checks that the world is in sync and foreign objects are unchanged.
func mustSync(t *testing.T, w World, s uplinks.Settings) uplinks.Plan {
	t.Helper()
	others, plan := w.DumpForeign(t), mustPreview(t, w, s)
	done, err := uplinks.Sync(t.Context(), w, s)
	if err != nil {
		t.Fatalf("sync: %v", err)
	}
	if done.String() != plan.String() {
		t.Errorf("the sync executed other steps than planned; planned:\n%sexecuted:\n%s", plan, done)
	}
	mustBeInSync(t, w, s)
	mustEqual(t, "foreign objects", others, w.DumpForeign(t))
	return done
}

// mustBeInSync fails the test unless the plan is empty.
func mustBeInSync(t *testing.T, w World, s uplinks.Settings) {
	t.Helper()
	if plan := mustPreview(t, w, s); len(plan) > 0 {
		t.Fatalf("not in sync; remaining steps:\n%s", plan)
	}
}

// mustPreview returns the plan of a preview.
func mustPreview(t *testing.T, w World, s uplinks.Settings) uplinks.Plan {
	t.Helper()
	plan, _, err := uplinks.Preview(t.Context(), w, s, nil)
	if err != nil {
		t.Fatalf("preview: %v", err)
	}
	return plan
}

// mustEqual fails the test with the difference of two dumps.
func mustEqual(t *testing.T, name, want, got string) {
	t.Helper()
	if want != got {
		t.Fatalf("%s (-want +got):\n%s", name, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
}

// countingWorld counts the steps, and lets those fail for which fail returns an error.
type countingWorld struct {
	World
	writes int
	fail   func(uplinks.Step) error
}

// Apply counts the step and executes it, unless fail returns an error.
func (w *countingWorld) Apply(ctx context.Context, s uplinks.Step) error {
	w.writes++
	if w.fail != nil {
		if err := w.fail(s); err != nil {
			return err
		}
	}
	return w.World.Apply(ctx, s)
}

var errPlanned = errors.New("planned failure")

func secondSyncWritesNothing(t *testing.T, open func(t *testing.T) World) {
	w := &countingWorld{World: open(t)}
	if done := mustSync(t, w, Settings()); len(done) == 0 {
		t.Fatal("the first sync executed no step")
	}
	w.writes = 0
	if done := mustSync(t, w, Settings()); len(done) != 0 || w.writes != 0 {
		t.Errorf("the second sync executed %d steps:\n%s", w.writes, done)
	}
}

func previewWritesNothing(t *testing.T, open func(t *testing.T) World) {
	w := &countingWorld{World: open(t)}
	before := dumpState(t, w)
	if plan := mustPreview(t, w, Settings()); len(plan) == 0 || w.writes != 0 {
		t.Errorf("%d writes by a preview; its plan:\n%s", w.writes, plan)
	}
	mustEqual(t, "state", before, dumpState(t, w))
}

// oneUplink returns the Settings with the first uplink alone.
func oneUplink() uplinks.Settings {
	s := Settings()
	s.Uplinks = s.Uplinks[:1]
	return s
}

func removalKeepsOthers(t *testing.T, open func(t *testing.T) World) {
	alone, w := open(t), open(t)
	mustSync(t, alone, oneUplink())
	mustSync(t, w, Settings())
	for _, step := range mustSync(t, w, oneUplink()) {
		switch step.Kind() {
		case uplinks.KindRule, uplinks.KindRoute:
			if !step.Removes() {
				t.Errorf("added while an uplink was removed: %s", step)
			}
		case uplinks.KindLink, uplinks.KindSysctl:
			if step.Scope().Link != "eth1" {
				t.Errorf("changed on another link: %s", step)
			}
		}
	}
	mustEqual(t, "state", dumpState(t, alone), dumpState(t, w))
}

func additionKeepsOthers(t *testing.T, open func(t *testing.T) World) {
	both, w := open(t), open(t)
	mustSync(t, both, Settings())
	mustSync(t, w, oneUplink())
	for _, step := range mustSync(t, w, Settings()) {
		if step.Removes() {
			t.Errorf("removed while an uplink was added: %s", step)
		}
	}
	mustEqual(t, "state", dumpState(t, both), dumpState(t, w))
}

func flushRestoresHost(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	before := dumpState(t, w)
	mustSync(t, w, Settings())
	mustSync(t, w, uplinks.Settings{})
	mustEqual(t, "state after the flush", before, dumpState(t, w))
	if facts, _ := observe(t, w); len(facts.Originals) > 0 {
		t.Errorf("originals are still saved: %v", facts.Originals)
	}
}

func flushKeepsForeignValues(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	_, before := observe(t, w)
	mustSync(t, w, Settings())
	want := before.Tunables
	for _, tunable := range []uplinks.Tunable{{Link: "eth0", Name: uplinks.LinkGroup}, {Link: "eth1", Name: uplinks.SrcValidMark}} {
		w.ApplyForeign(t, uplinks.SetTunable{Tunable: tunable, Value: "7"})
		want[tunable] = "7"
	}
	mustSync(t, w, uplinks.Settings{})
	if _, have := observe(t, w); !reflect.DeepEqual(want, have.Tunables) {
		t.Errorf("tunables:\n%s", cmp.Diff(fmt.Sprint(want), fmt.Sprint(have.Tunables)))
	}
}

// flushAfterCrash stops a first sync after some of its steps, and flushes.
func flushAfterCrash(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	before := dumpState(t, w)
	plan := mustPreview(t, w, Settings())
	for n := 0; n < len(plan); n += 1 + len(plan)/6 {
		for _, s := range plan[:n] {
			if err := w.Apply(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		mustSync(t, w, uplinks.Settings{})
		mustEqual(t, fmt.Sprintf("state after a crash behind step %d and a flush", n), before, dumpState(t, w))
	}
}

func renumberingLeavesNothing(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	before := dumpState(t, w)
	mustSync(t, w, Settings())
	other := Settings()
	for name, change := range map[string]func(*uplinks.Settings){
		"mask":       func(s *uplinks.Settings) { s.Mask = 0xff0000 },
		"priority":   func(s *uplinks.Settings) { s.Priority = 12000 },
		"table base": func(s *uplinks.Settings) { s.TableBase = 100000 },
		"group":      func(s *uplinks.Settings) { s.Group = 99 },
		"ids": func(s *uplinks.Settings) {
			s.Uplinks = append([]uplinks.Uplink(nil), s.Uplinks...)
			s.Uplinks[0].ID, s.Uplinks[1].ID = 2, 3
		},
	} {
		change(&other)
		if done := mustSync(t, w, other); len(done) == 0 {
			t.Errorf("another %s: no step", name)
		}
	}
	fresh := open(t)
	mustSync(t, fresh, other)
	mustEqual(t, "state", dumpState(t, fresh), dumpState(t, w))
	mustSync(t, w, uplinks.Settings{})
	mustEqual(t, "state after the flush", before, dumpState(t, w))
}

func absentLinkIsNoError(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	s := Settings()
	s.Uplinks = append(s.Uplinks, uplinks.Uplink{Name: "ghost", ID: 3, Link: "ghost0", WhenDown: uplinks.Hold,
		Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("203.0.113.1")}, Gateway6: uplinks.Gateway{Auto: true}})
	mustSync(t, w, s)
	if _, have := observe(t, w); !have.Rules[absentLinkRule(s)] {
		t.Error("replies by an absent link must be refused, but there is no rule for its mark")
	}
}

// absentLinkRule returns the rule for the mark of the third uplink.
func absentLinkRule(s uplinks.Settings) uplinks.Rule {
	absent := s.Uplinks[2]
	return uplinks.Rule{Family: uplinks.IPv4, Priority: s.Priority + 1 + uplinks.Priority(absent.ID), Mark: s.Mark(absent), Mask: s.Mask,
		Action: uplinks.Lookup, Table: s.Table(absent), SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
}
