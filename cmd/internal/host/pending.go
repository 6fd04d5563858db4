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

// Memory is what must outlive a process, and not a boot: a folder with files for one network namespace.
type Memory struct {
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

// Remember opens the memory in a folder.
func Remember(dir string) (Memory, error) {
	ns, err := Namespace()
	return Memory{dir, ns}, err
}

func (m Memory) path(name string) string {
	return filepath.Join(m.dir, fmt.Sprintf("%s-%d.json", name, m.ns))
}

// InForce gives the settings that were applied last, nil when there are none.
func (m Memory) InForce() (*uplinks.Settings, error) {
	return load[uplinks.Settings](m.path("inforce"))
}

// SetInForce notes settings that have been applied; nil: none are.
func (m Memory) SetInForce(s *uplinks.Settings) error { return save(m.path("inforce"), s) }

// Pending gives the change that is not confirmed, nil when there is none.
func (m Memory) Pending() (*Pending, error) { return load[Pending](m.path("pending")) }

// SetPending notes a change that is not confirmed; nil: there is none.
func (m Memory) SetPending(p *Pending) error { return save(m.path("pending"), p) }

// Left is the time until the change goes back, not below 0.
func (p *Pending) Left() time.Duration { return max(0, p.Deadline-SinceBoot()) }

// ErrNothingPending is the error of a confirmation that comes too late, or without need.
var ErrNothingPending = errors.New("no change waits to be confirmed: it is confirmed already, or has gone back")

// Back is what is gone back to. Settings without uplinks are nothing of ours.
func (p *Pending) Back() uplinks.Settings {
	if p.Previous == nil {
		return uplinks.Settings{Backend: marks.Auto}
	}
	return *p.Previous
}

// Concerns reports whether these are the settings that are not confirmed.
func (p *Pending) Concerns(s uplinks.Settings) bool { return p != nil && reflect.DeepEqual(p.New, s) }

// SinceBoot is a clock that no operator sets, and that goes on while the host sleeps (clock_gettime(2)).
func SinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

func load[T any](path string) (*T, error) {
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

// save writes a value, or removes the file of a nil one.
func save[T any](path string, v *T) error {
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
	if err := replace(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	return nil
}
