package rollback

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"replypath/cmd/internal/statedir"
	"replypath/uplinks/snapshot"
)

// undone records what is undone.
type undone struct {
	all []snapshot.Undo
	err error
}

func (u *undone) UndoRestore(_ context.Context, all snapshot.Undo) error {
	if u.err == nil {
		u.all = append(u.all, all)
	}
	return u.err
}

func openRestore(t *testing.T, d statedir.Dir) *Restore {
	t.Helper()
	r, err := OpenRestore(d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func armRestore(t *testing.T, d statedir.Dir, u snapshot.Undo, within time.Duration) {
	t.Helper()
	if err := openRestore(t, d).Arm(u, within); err != nil {
		t.Fatal(err)
	}
}

// undo returns the undo of a restore, of documents with one line each.
func undo(before, restored string) snapshot.Undo {
	return snapshot.Undo{Before: snapshot.Document{"group eth0 " + before}, Restored: snapshot.Document{"group eth0 " + restored}, Ours: true, Others: true}
}

func TestRestoreIsUndoneAtItsDeadlineOnly(t *testing.T) {
	d, by := newDir(t), &undone{}
	armRestore(t, d, undo("1", "2"), time.Hour)
	if done, err := openRestore(t, d).Rollback(t.Context(), by); done || err != nil || len(by.all) != 0 {
		t.Errorf("before the deadline: rolled back %v, %v, %v", done, by.all, err)
	}
	armRestore(t, d, undo("7", "3"), 0) // was never confirmed: it goes back to the first one's
	by.err = errors.New("busy")
	if r := openRestore(t, d); !r.Due() {
		t.Error("it is not due")
	} else if done, err := r.Rollback(t.Context(), by); done || !errors.Is(err, by.err) || !r.Due() {
		t.Errorf("an undo that fails: %v, %v, due %v", done, err, r.Due())
	}
	by.err = nil
	want := undo("1", "2")
	want.Restored = append(want.Restored, "group eth0 3")
	if done, err := openRestore(t, d).Rollback(t.Context(), by); !done || err != nil || !reflect.DeepEqual(by.all, []snapshot.Undo{want}) {
		t.Errorf("at the deadline: %v, %v, %+v", done, err, by.all)
	}
	r := openRestore(t, d)
	if err := r.Commit(); r.Armed() || !errors.Is(err, ErrNothingPending) {
		t.Errorf("after the rollback: %v", err)
	}
	if _, err := d.ReadText(beforeName); err == nil {
		t.Error("the snapshot is left")
	}
}

func TestCommittedRestoreIsNotUndone(t *testing.T) {
	d, by := newDir(t), &undone{}
	armRestore(t, d, undo("1", "2"), time.Hour)
	if err := openRestore(t, d).Commit(); err != nil {
		t.Fatal(err)
	}
	armRestore(t, d, undo("1", "2"), 0)
	if err := openRestore(t, d).Commit(); !errors.Is(err, ErrNothingPending) {
		t.Errorf("a commit after the deadline: %v", err)
	}
	if err := openRestore(t, d).Cancel(); err != nil {
		t.Fatal(err)
	}
	if done, err := openRestore(t, d).Rollback(t.Context(), by); done || err != nil {
		t.Errorf("rolled back %v, %v", done, err)
	}
}

func TestUndoLeavesWhatIsAppliedSince(t *testing.T) {
	d, by := newDir(t), &undone{}
	ours := undo("1", "2")
	ours.Others = false
	armRestore(t, d, ours, time.Hour)
	if err := openRestore(t, d).LeaveOurs(); err != nil || openRestore(t, d).Armed() {
		t.Errorf("nothing is left to be undone: %v", err)
	}
	armRestore(t, d, undo("1", "2"), 0)
	if err := openRestore(t, d).LeaveOurs(); err != nil {
		t.Fatal(err)
	}
	if err := openRestore(t, d).Arm(undo("1", "2"), time.Hour); !errors.Is(err, ErrOthersPending) {
		t.Errorf("another restore: %v", err)
	}
	want := undo("1", "2")
	want.Ours = false
	if done, err := openRestore(t, d).Rollback(t.Context(), by); !done || err != nil || !reflect.DeepEqual(by.all, []snapshot.Undo{want}) {
		t.Errorf("%v, %v, %+v", done, err, by.all)
	}
}

func TestRestoreOfAnotherBootOrVersionIsOver(t *testing.T) {
	for _, f := range []restoreFile{{Version: fileVersion, Boot: "another"}, {Version: fileVersion + 1, Boot: bootID()}} {
		d := newDir(t)
		if err := d.WriteJSON(restoreName, f); err != nil {
			t.Fatal(err)
		}
		if openRestore(t, d).Armed() {
			t.Errorf("%+v is pending", f)
		}
	}
}

func TestCommitAllKeepsWhicheverWaits(t *testing.T) {
	broken := errors.New("broken")
	none, kept := func() error { return ErrNothingPending }, func() error { return nil }
	fails := func() error { return broken }
	for _, c := range []struct {
		restore, settings func() error
		want              error
	}{{none, none, ErrNothingPending}, {kept, none, nil}, {none, kept, nil}, {kept, kept, nil}, {fails, kept, broken}, {kept, fails, broken}} {
		if err := CommitAll(c.restore, c.settings); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
}
