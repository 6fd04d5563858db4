// Package statedir keeps what must outlive a process, but not a boot: the values that the host had before its first
// change, the files of a change that is not confirmed, and the locks that leave one program writing at a time. A state
// folder may be shared by several network namespaces: each has its own files. PersistentPath is where package configstore
// keeps what must outlive a boot.
package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"replypath/cmd/internal/atomicfile"
	"replypath/cmd/internal/namespace"
)

// DefaultPath is the state folder without --state. Services lock their network namespace there whatever their state
// folder is. Only root can read it.
const DefaultPath = "/run/replypath"

// persistentDefault is the directory that outlives a boot, of the state folder DefaultPath. Only root can read it.
const persistentDefault = "/var/lib/replypath"

// PersistentPath returns the directory of what must outlive a boot: below another state folder than DefaultPath it is in there.
func PersistentPath(stateDir string) string {
	if filepath.Clean(stateDir) == DefaultPath {
		return persistentDefault
	}
	return filepath.Join(stateDir, "persistent")
}

// Dir is a state folder as one network namespace uses it.
type Dir struct {
	path   string
	cookie uint64 // of the network namespace
}

// Open returns the state folder for the network namespace of the caller. The folder need not exist.
func Open(path string) (Dir, error) {
	cookie, err := namespace.Cookie()
	return Dir{path, cookie}, err
}

// file returns the path of the namespace's own file of that name.
func (d Dir) file(name string) string {
	return filepath.Join(d.path, fmt.Sprintf("%s-%d.json", name, d.cookie))
}

// ReadJSON decodes the namespace's file of that name into v. It returns false when there is no file.
func (d Dir) ReadJSON(name string, v any) (found bool, err error) { return readJSON(d.file(name), v) }

// WriteJSON replaces the namespace's file of that name.
func (d Dir) WriteJSON(name string, v any) error { return writeJSON(d.file(name), v) }

// Remove deletes the namespace's file of that name, if there is one.
func (d Dir) Remove(name string) error { return remove(d.file(name)) }

// text returns the path of the namespace's own text of that name.
func (d Dir) text(name string) string {
	return filepath.Join(d.path, fmt.Sprintf("%s-%d.txt", name, d.cookie))
}

// ReadText returns the namespace's text of that name.
func (d Dir) ReadText(name string) (string, error) {
	text, err := atomicfile.Read(d.text(name))
	if err != nil {
		return "", fmt.Errorf("read saved state: %w", withRemedy(err))
	}
	return string(text), nil
}

// WriteText replaces the namespace's text of that name. Only root can read it.
func (d Dir) WriteText(name, text string) error { return write(d.text(name), []byte(text)) }

// RemoveText deletes the namespace's text of that name, if there is one.
func (d Dir) RemoveText(name string) error { return remove(d.text(name)) }

func readJSON(path string, v any) (found bool, err error) {
	text, err := atomicfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read saved state: %w", withRemedy(err))
	}
	if err := json.Unmarshal(text, v); err != nil {
		return false, fmt.Errorf("read saved state: %s: %w: delete it", path, err)
	}
	return true, nil
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return write(path, append(text, '\n'))
}

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if err := atomicfile.Write(path, text, 0o600); err != nil {
		return fmt.Errorf("save state: %w", withRemedy(err))
	}
	return nil
}

// withRemedy adds what to do about a path of the state folder that has something else than a file.
func withRemedy(err error) error {
	if errors.Is(err, atomicfile.ErrNotRegular) {
		return fmt.Errorf("%w: remove it", err)
	}
	return err
}

// removeLeftovers removes what killed processes have left of the namespace's own files.
func (d Dir) removeLeftovers() {
	atomicfile.RemoveLeftovers(d.path, func(name string) bool {
		return slices.ContainsFunc([]string{d.file(""), d.text("")}, func(end string) bool { return strings.HasSuffix(name, filepath.Base(end)) })
	})
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete saved state: %w", err)
	}
	return nil
}
