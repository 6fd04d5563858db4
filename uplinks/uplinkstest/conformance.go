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
	for _, promise := range []struct {
		name  string
		check func(t *testing.T, open func(t *testing.T) World)
	}{
		{"a first sync does it all and a second finds nothing to do", secondSync},
		{"a preview writes nothing", preview},
		{"damage is seen and mended", damages},
		{"a look at a share sees what a look at the whole sees", shares},
		{"an uplink that is removed takes only its own along", removal},
		{"an uplink that is added moves nothing", addition},
		{"a flush leaves the host as it was found", flush},
		{"a flush leaves what somebody else has set after us", laterValues},
		{"a flush is the same after a crash at any step", crashes},
		{"other numbers move everything and leave nothing behind", renumbering},
		{"a link that is not there is no error", absentLink},
		{"a change that fails is taken back", failures},
	} {
		t.Run(promise.name, func(t *testing.T) {
			promise.check(t, func(t *testing.T) World {
				w := open(t)
				strangers(t, w)
				return w
			})
		})
	}
}

// strangers are other programs' rules and routes at our places, and chains beside ours.
func strangers(t *testing.T, w World) {
	t.Helper()
	facts, _ := observe(t, w)
	like := uplinks.Desired(Settings(), facts)
	for r := range like.Rules {
		if r.In == "" && r.From == (netip.Prefix{}) {
			w.By(t, StrangerRule{r})
		}
	}
	for k, r := range like.Routes {
		if r.Type == uplinks.Unicast && k.Dst != k.Family.Any() && !k.Dst.Addr().IsLinkLocalUnicast() {
			k.Metric, r.Protocol = 77, stranger
			w.By(t, uplinks.SetRoute{Key: k, Route: r})
		}
	}
	for _, tool := range facts.Tools {
		w.By(t, Iptables(tool, "-N STRANGER", "-A STRANGER -i lan0 -j RETURN", "-A PREROUTING -j STRANGER",
			"-A OUTPUT -o lan0 -j ACCEPT", "-A POSTROUTING -o lan0 -j ACCEPT"))
	}
	if w.Others(t) == "" {
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

// dump prints what of ours, and which tunables, are in the world.
func dump(t *testing.T, w World) string {
	t.Helper()
	_, have := observe(t, w)
	return Dump(have)
}

// synced syncs, and checks that nothing is left to do and nothing of others was touched.
func synced(t *testing.T, w World, s uplinks.Settings) uplinks.Plan {
	t.Helper()
	others, plan := w.Others(t), previewed(t, w, s)
	done, err := uplinks.Sync(t.Context(), w, s)
	if err != nil {
		t.Fatalf("sync: %v", err)
	}
	if done.String() != plan.String() {
		t.Errorf("the plan was not enough; planned:\n%sdone:\n%s", plan, done)
	}
	inSync(t, w, s)
	same(t, "what others have", others, w.Others(t))
	return done
}

func inSync(t *testing.T, w World, s uplinks.Settings) {
	t.Helper()
	if plan := previewed(t, w, s); len(plan) > 0 {
		t.Fatalf("not in sync; still to do:\n%s", plan)
	}
}

func previewed(t *testing.T, w World, s uplinks.Settings) uplinks.Plan {
	t.Helper()
	plan, _, err := uplinks.Preview(t.Context(), w, s)
	if err != nil {
		t.Fatalf("preview: %v", err)
	}
	return plan
}

func same(t *testing.T, what, want, got string) {
	t.Helper()
	if want != got {
		t.Fatalf("%s (- is as it should be):\n%s", what, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
}

// watched counts writes and lets some of them fail.
type watched struct {
	World
	writes int
	fail   func(uplinks.Step) error
}

func (w *watched) Apply(ctx context.Context, s uplinks.Step) error {
	w.writes++
	if w.fail != nil {
		if err := w.fail(s); err != nil {
			return err
		}
	}
	return w.World.Apply(ctx, s)
}

var errPlanned = errors.New("planned failure")

func secondSync(t *testing.T, open func(t *testing.T) World) {
	w := &watched{World: open(t)}
	if done := synced(t, w, Settings()); len(done) == 0 {
		t.Fatal("the first sync did nothing")
	}
	w.writes = 0
	if done := synced(t, w, Settings()); len(done) != 0 || w.writes != 0 {
		t.Errorf("the second sync wrote %d times:\n%s", w.writes, done)
	}
}

func preview(t *testing.T, open func(t *testing.T) World) {
	w := &watched{World: open(t)}
	before := dump(t, w)
	if plan := previewed(t, w, Settings()); len(plan) == 0 || w.writes != 0 {
		t.Errorf("%d writes, and the plan is:\n%s", w.writes, plan)
	}
	same(t, "what is ours", before, dump(t, w))
}

// one are the Settings with one uplink only.
func one() uplinks.Settings {
	s := Settings()
	s.Uplinks = s.Uplinks[:1]
	return s
}

func removal(t *testing.T, open func(t *testing.T) World) {
	alone, w := open(t), open(t)
	synced(t, alone, one())
	synced(t, w, Settings())
	for _, step := range synced(t, w, one()) {
		switch s := step.(type) {
		case uplinks.AddRule, uplinks.SetRoute:
			t.Errorf("moved what stays: %s", s)
		case uplinks.SetTunable:
			if s.Tunable.Link != "eth1" {
				t.Errorf("changed what stays: %s", s)
			}
		}
	}
	same(t, "what is left", dump(t, alone), dump(t, w))
}

func addition(t *testing.T, open func(t *testing.T) World) {
	both, w := open(t), open(t)
	synced(t, both, Settings())
	synced(t, w, one())
	for _, step := range synced(t, w, Settings()) {
		switch s := step.(type) {
		case uplinks.DelRule, uplinks.DelRoute:
			t.Errorf("took up what stays: %s", s)
		}
	}
	same(t, "what is there", dump(t, both), dump(t, w))
}

func flush(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	before := dump(t, w)
	synced(t, w, Settings())
	synced(t, w, uplinks.Settings{})
	same(t, "what is left", before, dump(t, w))
	if facts, _ := observe(t, w); len(facts.Found) > 0 {
		t.Errorf("still remembered: %v", facts.Found)
	}
}

func laterValues(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	_, before := observe(t, w)
	synced(t, w, Settings())
	want := before.Tunables
	for _, tunable := range []uplinks.Tunable{{Link: "eth0", Name: uplinks.LinkGroup}, {Link: "eth1", Name: uplinks.SrcValidMark}} {
		w.By(t, uplinks.SetTunable{Tunable: tunable, Value: "7"})
		want[tunable] = "7"
	}
	synced(t, w, uplinks.Settings{})
	if _, have := observe(t, w); !reflect.DeepEqual(want, have.Tunables) {
		t.Errorf("tunables:\n%s", cmp.Diff(fmt.Sprint(want), fmt.Sprint(have.Tunables)))
	}
}

// crashes ends a first sync after some of its steps, and flushes what is there.
func crashes(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	before := dump(t, w)
	plan := previewed(t, w, Settings())
	for n := 0; n < len(plan); n += 1 + len(plan)/6 {
		for _, s := range plan[:n] {
			if err := w.Apply(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		synced(t, w, uplinks.Settings{})
		same(t, fmt.Sprintf("after a crash behind step %d", n), before, dump(t, w))
	}
}

func renumbering(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	before := dump(t, w)
	synced(t, w, Settings())
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
		if done := synced(t, w, other); len(done) == 0 {
			t.Errorf("%s: nothing was done", name)
		}
	}
	fresh := open(t)
	synced(t, fresh, other)
	same(t, "what is there", dump(t, fresh), dump(t, w))
	synced(t, w, uplinks.Settings{})
	same(t, "what is left", before, dump(t, w))
}

func absentLink(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	s := Settings()
	s.Uplinks = append(s.Uplinks, uplinks.Uplink{Name: "ghost", ID: 3, Link: "ghost0", WhenDown: uplinks.Hold,
		Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("203.0.113.1")}, Gateway6: uplinks.Gateway{Auto: true}})
	synced(t, w, s)
	if _, have := observe(t, w); !have.Rules[ghostRule(s)] {
		t.Error("replies by a link that went away must be held, but there is no rule for its mark")
	}
}

func ghostRule(s uplinks.Settings) uplinks.Rule {
	ghost := s.Uplinks[2]
	return uplinks.Rule{Family: uplinks.IPv4, Priority: s.Priority + 1 + uplinks.Priority(ghost.ID), Mark: s.Mark(ghost), Mask: s.Mask,
		Action: uplinks.Lookup, Table: s.Table(ghost), SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
}
