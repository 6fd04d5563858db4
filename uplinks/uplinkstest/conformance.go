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

// Conformance checks what uplinks.Sync and uplinks.Change promise, on worlds that open makes: each new, with the
// Interfaces and nothing of ours.
func Conformance(t *testing.T, open func(t *testing.T) World) {
	for _, property := range []struct {
		name  string
		check func(t *testing.T, open func(t *testing.T) World)
	}{
		{"a first sync does it all and a second finds nothing to do", secondSyncWritesNothing},
		{"a preview writes nothing", previewWritesNothing},
		{"damage is seen and mended", damageIsRepaired},
		{"a look at a share sees what a look at the whole sees", scopesMatchFullObservation},
		{"an uplink that is removed takes only its own along", removalKeepsOthers},
		{"an uplink that is added moves nothing", additionKeepsOthers},
		{"a flush leaves the host as it was found", flushRestoresHost},
		{"a flush leaves what somebody else has set after us", flushKeepsForeignValues},
		{"a flush is the same after a crash at any step", flushAfterCrash},
		{"other numbers move everything and leave nothing behind", renumberingLeavesNothing},
		{"a link that is not there is no error", absentLinkIsNoError},
		{"a change that fails is taken back", failedChangeIsReverted},
		{"a change that is interrupted is taken back", interruptedChangeIsReverted},
	} {
		t.Run(property.name, func(t *testing.T) {
			property.check(t, func(t *testing.T) World {
				w := open(t)
				addForeignObjects(t, w)
				return w
			})
		})
	}
}

// addForeignObjects are other programs' rules and routes at our places, and chains beside ours.
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
		w.ApplyForeign(t, Iptables(firewall, "-N STRANGER", "-A STRANGER -i lan0 -j RETURN", "-A PREROUTING -j STRANGER",
			"-A OUTPUT -o lan0 -j ACCEPT", "-A POSTROUTING -o lan0 -j ACCEPT"))
	}
	if w.DumpForeign(t) == "" {
		t.Fatal("the strangers are not seen")
	}
}

func observe(t *testing.T, w World) (uplinks.Facts, uplinks.State) {
	t.Helper()
	facts, have, err := w.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return facts, have
}

// dumpState prints what of ours, and which tunables, are in the world.
func dumpState(t *testing.T, w World) string {
	t.Helper()
	_, have := observe(t, w)
	return Dump(have)
}

// mustSync syncs, and checks that nothing is left to do and nothing of others was touched.
func mustSync(t *testing.T, w World, s uplinks.Settings) uplinks.Plan {
	t.Helper()
	others, plan := w.DumpForeign(t), mustPreview(t, w, s)
	done, err := uplinks.Sync(t.Context(), w, s)
	if err != nil {
		t.Fatalf("sync: %v", err)
	}
	if done.String() != plan.String() {
		t.Errorf("the plan was not enough; planned:\n%sdone:\n%s", plan, done)
	}
	mustBeInSync(t, w, s)
	mustEqual(t, "what others have", others, w.DumpForeign(t))
	return done
}

func mustBeInSync(t *testing.T, w World, s uplinks.Settings) {
	t.Helper()
	if plan := mustPreview(t, w, s); len(plan) > 0 {
		t.Fatalf("not in sync; still to do:\n%s", plan)
	}
}

func mustPreview(t *testing.T, w World, s uplinks.Settings) uplinks.Plan {
	t.Helper()
	plan, _, err := uplinks.Preview(t.Context(), w, s)
	if err != nil {
		t.Fatalf("preview: %v", err)
	}
	return plan
}

func mustEqual(t *testing.T, what, want, got string) {
	t.Helper()
	if want != got {
		t.Fatalf("%s (- is as it should be):\n%s", what, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
}

// countingWorld counts writes and lets some of them fail.
type countingWorld struct {
	World
	writes int
	fail   func(uplinks.Step) error
}

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
		t.Fatal("the first sync did nothing")
	}
	w.writes = 0
	if done := mustSync(t, w, Settings()); len(done) != 0 || w.writes != 0 {
		t.Errorf("the second sync wrote %d times:\n%s", w.writes, done)
	}
}

func previewWritesNothing(t *testing.T, open func(t *testing.T) World) {
	w := &countingWorld{World: open(t)}
	before := dumpState(t, w)
	if plan := mustPreview(t, w, Settings()); len(plan) == 0 || w.writes != 0 {
		t.Errorf("%d writes, and the plan is:\n%s", w.writes, plan)
	}
	mustEqual(t, "what is ours", before, dumpState(t, w))
}

// oneUplink are the Settings with one uplink only.
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
	mustEqual(t, "what is left", dumpState(t, alone), dumpState(t, w))
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
	mustEqual(t, "what is there", dumpState(t, both), dumpState(t, w))
}

func flushRestoresHost(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	before := dumpState(t, w)
	mustSync(t, w, Settings())
	mustSync(t, w, uplinks.Settings{})
	mustEqual(t, "what is left", before, dumpState(t, w))
	if facts, _ := observe(t, w); len(facts.Originals) > 0 {
		t.Errorf("still remembered: %v", facts.Originals)
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

// flushAfterCrash ends a first sync after some of its steps, and flushes what is there.
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
		mustEqual(t, fmt.Sprintf("after a crash behind step %d", n), before, dumpState(t, w))
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
			t.Errorf("%s: nothing was done", name)
		}
	}
	fresh := open(t)
	mustSync(t, fresh, other)
	mustEqual(t, "what is there", dumpState(t, fresh), dumpState(t, w))
	mustSync(t, w, uplinks.Settings{})
	mustEqual(t, "what is left", before, dumpState(t, w))
}

func absentLinkIsNoError(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	s := Settings()
	s.Uplinks = append(s.Uplinks, uplinks.Uplink{Name: "ghost", ID: 3, Link: "ghost0", WhenDown: uplinks.Hold,
		Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("203.0.113.1")}, Gateway6: uplinks.Gateway{Auto: true}})
	mustSync(t, w, s)
	if _, have := observe(t, w); !have.Rules[absentLinkRule(s)] {
		t.Error("replies by a link that went away must be held, but there is no rule for its mark")
	}
}

func absentLinkRule(s uplinks.Settings) uplinks.Rule {
	absent := s.Uplinks[2]
	return uplinks.Rule{Family: uplinks.IPv4, Priority: s.Priority + 1 + uplinks.Priority(absent.ID), Mark: s.Mark(absent), Mask: s.Mask,
		Action: uplinks.Lookup, Table: s.Table(absent), SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
}
