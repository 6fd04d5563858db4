package uplinkstest

import (
	"errors"
	"fmt"
	"testing"

	"replypath/uplinks"
)

// failedChangeIsReverted lets the last step of each kind fail, for a first change, for one that moves everything, and for a flush.
func failedChangeIsReverted(t *testing.T, open func(t *testing.T) World) {
	moved := Settings()
	moved.Mask, moved.TableBase, moved.Uplinks = 0xff0000, 9200, oneUplink().Uplinks
	w := &countingWorld{World: open(t)}
	for _, to := range []uplinks.Settings{Settings(), moved, {}} {
		failing := map[string]string{}
		for _, s := range mustPreview(t, w, to) {
			failing[StepKind(s)] = s.String()
		}
		for _, step := range failing {
			CheckFailedChange(t, w, to, step)
		}
		mustSync(t, w, to)
	}
}

// StepKind tells steps apart by what they do to what.
func StepKind(s uplinks.Step) string {
	switch s := s.(type) {
	case uplinks.AddRule:
		return fmt.Sprintf("%T %s", s, s.Rule.Family)
	case uplinks.DelRule:
		return fmt.Sprintf("%T %s", s, s.Rule.Family)
	case uplinks.SetRoute:
		return fmt.Sprintf("%T %s", s, s.Key.Family)
	case uplinks.DelRoute:
		return fmt.Sprintf("%T %s", s, s.Key.Family)
	case uplinks.LoadChains:
		return fmt.Sprintf("%T %s", s, s.Tool.Family)
	case uplinks.SetTunable:
		return fmt.Sprintf("%T %s", s, s.Tunable.Name)
	}
	return fmt.Sprintf("%T", s)
}

// CheckFailedChange asks for a change while the step cannot be done, and checks that all is as it was before.
func CheckFailedChange(t *testing.T, w World, to uplinks.Settings, step string) {
	t.Helper()
	before, others := dumpState(t, w), w.DumpForeign(t)
	broken := &countingWorld{World: w, fail: func(s uplinks.Step) error {
		if s.String() == step {
			return errPlanned
		}
		return nil
	}}
	done, _, err := uplinks.Change(t.Context(), broken, to)
	if !errors.Is(err, errPlanned) || len(done) > 0 {
		t.Fatalf("without %s: %v, and these steps stay done:\n%s", step, err, done)
	}
	mustEqual(t, "what is there without "+step, before, dumpState(t, w))
	mustEqual(t, "what others have without "+step, others, w.DumpForeign(t))
}
