// Package rollback undoes a change that is not confirmed in time (commit-confirm), as routers offer it for changes that
// may cut the operator off. The transaction outlives the process that arms it: its state is in the state folder.
package rollback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"replypath/cmd/internal/statedir"
	"replypath/marks"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// ErrNothingPending is the error of a Commit without a change that waits for it, or after its deadline.
var ErrNothingPending = errors.New("no change waits to be confirmed: it is confirmed already, or was rolled back")

// Transaction is a change of settings that is rolled back at its deadline unless it is committed before. Not safe for
// concurrent use.
type Transaction struct {
	dir     statedir.Dir
	pending *pendingFile // nil: no change is pending
}

// Restorer brings the host back to earlier settings.
type Restorer interface {
	Restore(ctx context.Context, s uplinks.Settings) error
}

// Open reads the transaction of a state folder.
func Open(d statedir.Dir) (*Transaction, error) {
	t := &Transaction{dir: d}
	return t, t.Reload()
}

// Reload reads the transaction again, which another process may have changed.
func (t *Transaction) Reload() error {
	var f pendingFile
	found, err := t.dir.ReadJSON(pendingName, &f)
	switch {
	case err != nil:
		return err
	case !found:
		t.pending = nil
	case f.Version != fileVersion:
		return fmt.Errorf("the pending change was saved by another version of replypath (format %d, not %d): forget it with: replypath flush", f.Version, fileVersion)
	default:
		t.pending = &f
	}
	return nil
}

// Confirmed returns the settings that were committed last, nil when there are none.
func (t *Transaction) Confirmed() (*uplinks.Settings, error) {
	var f confirmedFile
	found, err := t.dir.ReadJSON(confirmedName, &f)
	if err != nil || !found || f.Version != fileVersion {
		return nil, err // settings of another version cannot be restored
	}
	s := f.Settings.settings()
	return &s, nil
}

// Arm saves, before the change to next, that it is rolled back to previous (nil: nothing of replypath's) unless it is
// committed in time. A change that is armed already was never confirmed, so its previous settings stay.
func (t *Transaction) Arm(next uplinks.Settings, previous *uplinks.Settings, within time.Duration) error {
	f := &pendingFile{Version: fileVersion, Deadline: sinceBoot() + within, Settings: newSavedSettings(next)}
	switch {
	case t.Armed():
		f.Previous = t.pending.Previous
	case previous != nil:
		saved := newSavedSettings(*previous)
		f.Previous = &saved
	}
	if err := t.dir.WriteJSON(pendingName, f); err != nil {
		return err
	}
	t.pending = f
	return nil
}

// Armed reports whether a change waits for its commit or its deadline.
func (t *Transaction) Armed() bool { return t.pending != nil && !t.pending.RolledBack }

// RolledBack reports whether the settings are those of a change that was rolled back.
func (t *Transaction) RolledBack(s uplinks.Settings) bool {
	return t.pending != nil && t.pending.RolledBack && t.Changes(s)
}

// Changes reports whether the transaction is, or was before its rollback, a change to these settings.
func (t *Transaction) Changes(s uplinks.Settings) bool {
	return t.pending != nil && t.pending.Settings.equal(newSavedSettings(s))
}

// Committed reports whether the settings are those that were committed last.
func (t *Transaction) Committed(s uplinks.Settings) bool {
	last, err := t.Confirmed()
	return err == nil && last != nil && newSavedSettings(*last).equal(newSavedSettings(s))
}

// RestoresTo reports whether a rollback restores these settings.
func (t *Transaction) RestoresTo(s uplinks.Settings) bool {
	return newSavedSettings(t.Previous()).equal(newSavedSettings(s))
}

// Remaining returns the time until the deadline of an armed change, 0 when it is over.
func (t *Transaction) Remaining() time.Duration { return max(0, t.pending.Deadline-sinceBoot()) }

// Due reports whether a change is armed and its deadline is over.
func (t *Transaction) Due() bool { return t.Armed() && t.Remaining() == 0 }

// Commit keeps the change. It returns ErrNothingPending when none is armed or the deadline is over.
func (t *Transaction) Commit() error {
	if !t.Armed() || t.Due() {
		return ErrNothingPending
	}
	return t.Keep(t.pending.Settings.settings())
}

// Keep saves settings that need no confirmation. It ends a pending change.
func (t *Transaction) Keep(s uplinks.Settings) error {
	return errors.Join(t.Cancel(), t.dir.WriteJSON(confirmedName, confirmedFile{fileVersion, newSavedSettings(s)}))
}

// Cancel forgets a pending change, such as one that failed and left the host as it was.
func (t *Transaction) Cancel() error {
	t.pending = nil
	return t.dir.Remove(pendingName)
}

// Forget removes the transaction and the confirmed settings of a state folder, whatever their version.
func Forget(d statedir.Dir) error {
	return errors.Join(d.Remove(pendingName), d.Remove(confirmedName))
}

// Previous returns the settings that a rollback restores. Without uplinks they remove everything of replypath's.
func (t *Transaction) Previous() uplinks.Settings {
	if t.pending == nil || t.pending.Previous == nil {
		return uplinks.Settings{Backend: marks.Auto}
	}
	return t.pending.Previous.settings()
}

// Rollback restores the previous settings if the change is due. It reports whether it did; after an error of the restorer
// the change stays due.
func (t *Transaction) Rollback(ctx context.Context, r Restorer) (done bool, err error) {
	if !t.Due() {
		return false, nil
	}
	if err := r.Restore(ctx, t.Previous()); err != nil {
		return false, err
	}
	t.pending.RolledBack = true
	return true, t.dir.WriteJSON(pendingName, t.pending)
}

// sinceBoot returns the time since boot, which no operator sets and which goes on while the host sleeps
// (CLOCK_BOOTTIME, clock_gettime(2)).
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
