package uplinkstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

// failedChangeIsReverted lets the last step of each class fail, in a first change, in one that moves everything, and in a
// flush.
func failedChangeIsReverted(t *testing.T, open func(t *testing.T) World) {
	w := &countingWorld{World: open(t)}
	for _, to := range []uplinks.Settings{Settings(), renumbered(), {}} {
		failing := map[string]uplinks.Step{}
		for _, s := range mustPreview(t, w, to) {
			failing[stepClass(s)] = s
		}
		for _, step := range failing {
			CheckFailedChange(t, w, to, step)
		}
		mustSync(t, w, to)
	}
}

// renumbered returns settings that move every object of Settings, and drop an uplink.
func renumbered() uplinks.Settings {
	s := oneUplink()
	s.Mask, s.TableBase = 0xff0000, 9200
	return s
}

// stepClass returns the class of a step: its type and the command that it runs. Each tunable is a class of its own.
func stepClass(s uplinks.Step) string {
	switch s.Kind() {
	case uplinks.KindLink, uplinks.KindSysctl:
		return s.String()
	}
	return fmt.Sprintf("%T %s", s, strings.Fields(s.String())[:2])
}

// CheckFailedChange makes a change in which the step fails, and checks that the world is as before.
func CheckFailedChange(t *testing.T, w World, to uplinks.Settings, step uplinks.Step) {
	t.Helper()
	before, foreign := dumpState(t, w), w.DumpForeign(t)
	broken := &countingWorld{World: w, fail: func(s uplinks.Step) error {
		if isSameStep(s, step) {
			return errPlanned
		}
		return nil
	}}
	done, _, err := uplinks.Change(t.Context(), broken, to)
	if !errors.Is(err, errPlanned) || len(done) > 0 {
		t.Fatalf("failure of %s: %v, and these steps are not reverted:\n%s", step, err, done)
	}
	mustEqual(t, "state after the failure of "+step.String(), before, dumpState(t, w))
	mustEqual(t, "foreign objects after the failure of "+step.String(), foreign, w.DumpForeign(t))
}

// isSameStep reports whether the step is the other one, in a later attempt too. The commands for a family in marks.NFTTable, and which
// family is the last one there, depend on the steps that failed.
func isSameStep(s, other uplinks.Step) bool {
	l, is := s.(uplinks.LoadChains)
	o, both := other.(uplinks.LoadChains)
	if is && both && l.Firewall.Backend == marks.Nftables && o.Firewall.Backend == marks.Nftables {
		return l.Unload == o.Unload && (l.Unload || l.Firewall == o.Firewall)
	}
	return s.String() == other.String()
}

// interruptedChangeIsReverted cancels a first change, one that moves everything, and a flush, each after their first
// step, in the middle, and before their last step.
func interruptedChangeIsReverted(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	for _, to := range []uplinks.Settings{Settings(), renumbered(), {}} {
		steps := len(mustPreview(t, w, to))
		for _, n := range []int{1, steps / 2, steps - 1} {
			checkInterruptedChange(t, w, to, n)
		}
		mustSync(t, w, to)
	}
}

// interruptedWorld calls cancel after a number of steps.
type interruptedWorld struct {
	World
	steps  int
	cancel func()
}

// Apply applies the step.
func (w *interruptedWorld) Apply(ctx context.Context, s uplinks.Step) error {
	err := w.World.Apply(ctx, s)
	if w.steps--; w.steps == 0 {
		w.cancel()
	}
	return err
}

// checkInterruptedChange cancels a change after n steps, and checks that the world is as before.
func checkInterruptedChange(t *testing.T, w World, to uplinks.Settings, n int) {
	t.Helper()
	before, foreign := dumpState(t, w), w.DumpForeign(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done, _, err := uplinks.Change(ctx, &interruptedWorld{World: w, steps: n, cancel: cancel}, to)
	if !errors.Is(err, context.Canceled) || len(done) > 0 {
		t.Fatalf("cancelled after %d steps: %v, and these steps are not reverted:\n%s", n, err, done)
	}
	mustEqual(t, fmt.Sprintf("state after a change cancelled after %d steps", n), before, dumpState(t, w))
	mustEqual(t, fmt.Sprintf("foreign objects after a change cancelled after %d steps", n), foreign, w.DumpForeign(t))
}
