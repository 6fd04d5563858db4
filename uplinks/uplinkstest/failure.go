package uplinkstest

import (
	"errors"
	"fmt"
	"testing"

	"replypath/uplinks"
)

// failures lets the last step of each kind fail, for a first change, for one that moves everything, and for a flush.
func failures(t *testing.T, open func(t *testing.T) World) {
	moved := Settings()
	moved.Mask, moved.TableBase, moved.Uplinks = 0xff0000, 9200, one().Uplinks
	w := &watched{World: open(t)}
	for _, to := range []uplinks.Settings{Settings(), moved, {}} {
		failing := map[string]string{}
		for _, s := range previewed(t, w, to) {
			failing[Kind(s)] = s.String()
		}
		for _, step := range failing {
			FailedChange(t, w, to, step)
		}
		synced(t, w, to)
	}
}

// Kind tells steps apart by what they do to what.
func Kind(s uplinks.Step) string {
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

// FailedChange asks for a change while the step cannot be done, and checks that all is as it was before.
func FailedChange(t *testing.T, w World, to uplinks.Settings, step string) {
	t.Helper()
	before, others := dump(t, w), w.Others(t)
	broken := &watched{World: w, fail: func(s uplinks.Step) error {
		if s.String() == step {
			return errPlanned
		}
		return nil
	}}
	done, _, err := uplinks.Change(t.Context(), broken, to)
	if !errors.Is(err, errPlanned) || len(done) > 0 {
		t.Fatalf("without %s: %v, and these steps stay done:\n%s", step, err, done)
	}
	same(t, "what is there without "+step, before, dump(t, w))
	same(t, "what others have without "+step, others, w.Others(t))
}
