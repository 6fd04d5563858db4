package rollback

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"replypath/cmd/internal/statedir"
	"replypath/uplinks/snapshot"
)

// The names of a pending restore in the state folder: its file, and the snapshots of the host before it and of what it restores.
const (
	restoreName  = "restore"
	beforeName   = "restore-before"
	restoredName = "restore-after"
)

// restoreFile is the saved form of a pending restore. It is written after the snapshots, and deleted before them.
type restoreFile struct {
	Version  int           `json:"version"`
	Deadline time.Duration `json:"deadline_since_boot"` // nanoseconds
	Boot     string        `json:"boot"`                // the kernel's state, and thus the restore, ends with it
	Ours     bool          `json:"ours"`
	Others   bool          `json:"others"`
}

// Restore is a restored snapshot that is undone at its deadline unless it is committed before. Not safe for concurrent use.
type Restore struct {
	dir     statedir.Dir
	pending *restoreFile // nil: none is pending
}

// Undoer undoes a restore.
type Undoer interface {
	UndoRestore(ctx context.Context, u snapshot.Undo) error
}

// OpenRestore reads the pending restore of a state folder.
func OpenRestore(d statedir.Dir) (*Restore, error) {
	r := &Restore{dir: d}
	return r, r.Reload()
}

// Reload reads the pending restore again, which another process may have changed. One of an earlier boot is over, and one of another
// version of replypath is left to the guard of that.
func (r *Restore) Reload() error {
	var f restoreFile
	found, err := r.dir.ReadJSON(restoreName, &f)
	r.pending = nil
	if err == nil && found && f.Boot == bootID() && f.Version == fileVersion {
		r.pending = &f
	}
	return err
}

// bootID returns what distinguishes this boot from others (random(4)).
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Armed reports whether a restore waits for its commit or its deadline.
func (r *Restore) Armed() bool { return r.pending != nil }

// Remaining returns the time until the deadline of an armed restore, 0 when it is over.
func (r *Restore) Remaining() time.Duration { return max(0, r.pending.Deadline-sinceBoot()) }

// Due reports whether a restore is armed and its deadline is over.
func (r *Restore) Due() bool { return r.Armed() && r.Remaining() == 0 }

// ErrOthersPending is the error of an Arm while only what an earlier restore did to other programs can be undone.
var ErrOthersPending = errors.New("an earlier restore --all waits to be confirmed, and replypath's own rules have been changed since: replypath confirm, or wait until it is rolled back")

// Arm saves, before a restore, what undoes it unless it is committed in time. One that is armed already was never confirmed: what
// was there before it stays what is gone back to, and what it restored is undone too.
func (r *Restore) Arm(u snapshot.Undo, within time.Duration) error {
	f := &restoreFile{Version: fileVersion, Deadline: sinceBoot() + within, Boot: bootID(), Ours: u.Ours, Others: u.Others}
	if r.Armed() {
		if !r.pending.Ours {
			return ErrOthersPending
		}
		earlier, err := r.undo()
		if err != nil {
			return err
		}
		f.Others = f.Others || earlier.Others
		u.Before, u.Restored = earlier.Before, earlier.Restored.With(u.Restored)
	}
	for name, d := range map[string]snapshot.Document{beforeName: u.Before, restoredName: u.Restored} {
		if err := r.dir.WriteText(name, d.Text("kept until the restore is confirmed or rolled back")); err != nil {
			return err
		}
	}
	if err := r.dir.WriteJSON(restoreName, f); err != nil {
		return err
	}
	r.pending = f
	return nil
}

// undo reads what undoes the armed restore.
func (r *Restore) undo() (u snapshot.Undo, err error) {
	u = snapshot.Undo{Ours: r.pending.Ours, Others: r.pending.Others}
	for name, to := range map[string]*snapshot.Document{beforeName: &u.Before, restoredName: &u.Restored} {
		text, err := r.dir.ReadText(name)
		if err != nil {
			return u, err
		}
		if *to, err = snapshot.Parse(text); err != nil {
			return u, fmt.Errorf("read what the restore is rolled back to: %w", err)
		}
	}
	return u, nil
}

// LeaveOurs excludes what belongs to replypath from the rollback of an armed restore: a configuration has been applied since.
func (r *Restore) LeaveOurs() error {
	switch {
	case !r.Armed() || !r.pending.Ours:
		return nil
	case !r.pending.Others:
		return r.Cancel()
	}
	r.pending.Ours = false
	return r.dir.WriteJSON(restoreName, r.pending)
}

// Commit keeps the restore. It returns ErrNothingPending when none is armed or the deadline is over.
func (r *Restore) Commit() error {
	if !r.Armed() || r.Due() {
		return ErrNothingPending
	}
	return r.Cancel()
}

// CommitAll keeps all changes that wait for their confirmation. It returns ErrNothingPending when none does.
func CommitAll(restore, settings func() error) error {
	kept := restore()
	if kept != nil && !errors.Is(kept, ErrNothingPending) {
		return kept
	}
	err := settings()
	if kept == nil && errors.Is(err, ErrNothingPending) {
		return nil
	}
	return err
}

// Cancel forgets a pending restore.
func (r *Restore) Cancel() error {
	r.pending = nil
	return errors.Join(r.dir.Remove(restoreName), r.dir.RemoveText(beforeName), r.dir.RemoveText(restoredName))
}

// Rollback undoes the restore if it is due, and reports whether it did; after an error it stays due.
func (r *Restore) Rollback(ctx context.Context, by Undoer) (done bool, err error) {
	if !r.Due() {
		return false, nil
	}
	u, err := r.undo()
	if err == nil {
		err = by.UndoRestore(ctx, u)
	}
	if err != nil {
		return false, fmt.Errorf("roll back the restore: %w", err)
	}
	return true, r.Cancel()
}
