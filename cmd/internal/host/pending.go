package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"replypath/marks"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// StateDir is what must outlive a process, and not a boot: a folder with files for one network namespace.
type StateDir struct {
	dir string
	ns  uint64
}

// Pending is a change that goes back by itself unless it is confirmed.
type Pending struct {
	Deadline time.Duration     // since boot
	New      uplinks.Settings  // what was applied
	Previous *uplinks.Settings // what is gone back to; nil: to nothing of ours
	Reverted bool              // it has gone back: New is refused until somebody asks for it anew
}

// OpenStateDir opens the memory in a folder.
func OpenStateDir(dir string) (StateDir, error) {
	ns, err := NamespaceCookie()
	return StateDir{dir, ns}, err
}

func (m StateDir) file(name string) string {
	return filepath.Join(m.dir, fmt.Sprintf("%s-%d.json", name, m.ns))
}

// Applied gives the settings that were applied last, nil when there are none.
func (m StateDir) Applied() (*uplinks.Settings, error) {
	return readJSON[uplinks.Settings](m.file("inforce"))
}

// SetApplied notes settings that have been applied; nil: none are.
func (m StateDir) SetApplied(s *uplinks.Settings) error { return writeJSON(m.file("inforce"), s) }

// Pending gives the change that is not confirmed, nil when there is none.
func (m StateDir) Pending() (*Pending, error) { return readJSON[Pending](m.file("pending")) }

// SetPending notes a change that is not confirmed; nil: there is none.
func (m StateDir) SetPending(p *Pending) error { return writeJSON(m.file("pending"), p) }

// Remaining is the time until the change goes back, not below 0.
func (p *Pending) Remaining() time.Duration { return max(0, p.Deadline-SinceBoot()) }

// ErrNothingPending is the error of a confirmation that comes too late, or without need.
var ErrNothingPending = errors.New("no change waits to be confirmed: it is confirmed already, or has gone back")

// RollbackTarget is what is gone back to. Settings without uplinks are nothing of ours.
func (p *Pending) RollbackTarget() uplinks.Settings {
	if p.Previous == nil {
		return uplinks.Settings{Backend: marks.Auto}
	}
	return *p.Previous
}

// Matches reports whether these are the settings that are not confirmed.
func (p *Pending) Matches(s uplinks.Settings) bool { return p != nil && reflect.DeepEqual(p.New, s) }

// SinceBoot is a clock that no operator sets, and that goes on while the host sleeps (clock_gettime(2)).
func SinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

func readJSON[T any](path string) (*T, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is remembered: %w", err)
	}
	v := new(T)
	if err := json.Unmarshal(text, v); err != nil {
		return nil, fmt.Errorf("read what is remembered: %s: %w: delete it", path, err)
	}
	return v, nil
}

// writeJSON writes a value, or removes the file of a nil one.
func writeJSON[T any](path string, v *T) error {
	if v == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget: %w", err)
		}
		return nil
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	if err := writeFileAtomic(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	return nil
}
