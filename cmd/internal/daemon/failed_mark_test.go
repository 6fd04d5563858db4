package daemon

import (
	"errors"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// endedMarks records the marks whose connections are ended, all that have them.
type endedMarks struct {
	unmovedConnections
	ended func(marks.Mark)
}

func (e endedMarks) MoveConnections(moves ...uplinks.Move) ([]host.Moved, error) {
	for _, m := range moves {
		if !m.LostOnly {
			e.ended(m.Mark & marks.Mark(uplinkstest.Settings().Mask))
		}
	}
	return make([]host.Moved, len(moves)), nil
}

// A reload exchanges ids, and once the kernel gives connections no other mark. Nothing is ended before it does: until then they have a mark
// that no uplink has in between.
func TestNothingIsEndedBeforeItsMarkChanges(t *testing.T) {
	k, kernel := newOutboundReconciler(t, outboundTestSettings())
	moved, failed, ended := map[marks.Mark]int{}, false, 0
	k.mover.kernel = endedMarks{ended: func(m marks.Mark) {
		if ended++; moved[m] < len(uplinks.Families) {
			t.Errorf("what has the mark %s is ended when it has changed in %d families", m, moved[m])
		}
	}}
	kernel.Fail = func(step uplinks.Step) error {
		m, is := step.(uplinks.MoveMark)
		if is && !failed {
			failed = true
			return errors.New("interrupted")
		}
		if is {
			moved[m.From]++
		}
		return nil
	}
	k.SetSettings(exchangedIDs(outboundTestSettings()), "test")
	k.Reconcile(t.Context(), "test")
	k.Reconcile(t.Context(), "test")
	if !failed || !k.Report().InSync || ended == 0 || len(moved) != 4 {
		t.Errorf("failed %t, %d ends, %v, %+v", failed, ended, moved, k.Report())
	}
}
