// Package configstore keeps configurations across boots: the last one that was confirmed, and one that is applied and waits
// for its confirmation, or never got it. At a start the service uses the confirmed one in place of a file that is broken or
// was not confirmed.
//
// Each configuration is a directory with copies of its files, named as the originals, so that an operator can compare and
// copy them. A symbolic link leads to it, and is replaced as a whole: a crash leaves the old or the new one.
package configstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/statedir"
)

// The names of the symbolic links.
const (
	confirmedName   = "confirmed"
	unconfirmedName = "unconfirmed"
)

// ErrNone is the error of a configuration that was never saved.
var ErrNone = errors.New("no configuration is saved")

// Store has the saved configurations of one configuration file. It holds no descriptor, and reads the disk at each call. Two
// processes must not write at the same time: the lock of the host keeps them apart.
type Store struct {
	root    string // the directory of all configuration files' stores
	key     string // of this one below it
	file    string // the name of the main file
	changes func() // is called before each change of the disk, for tests
}

// New returns the store that belongs to a state directory and a configuration file. It need not exist.
func New(stateDir, configFile string) Store {
	return Store{statedir.PersistentPath(stateDir), escape(configFile), filepath.Base(configFile), func() {}}
}

// escape makes a path a file name: /etc/replypath/replypath.toml becomes etc-replypath-replypath.toml.
func escape(path string) string {
	return strings.NewReplacer("%", "%25", "-", "%2D", "/", "-").Replace(strings.TrimPrefix(path, "/"))
}

// Saved is a configuration on disk.
type Saved struct {
	config.Config
	Files config.Files
	At    time.Time // when it was saved
}

func (s Store) path(name string) string { return filepath.Join(s.root, s.key, name, s.file) }

// Confirmed returns the last confirmed configuration, or ErrNone.
func (s Store) Confirmed() (Saved, error) { return s.read(confirmedName) }

// Unconfirmed returns the configuration that was applied and not confirmed, or ErrNone.
func (s Store) Unconfirmed() (Saved, error) { return s.read(unconfirmedName) }

func (s Store) read(name string) (Saved, error) {
	files, at, err := s.readFiles(name)
	if err != nil {
		return Saved{}, err
	}
	c, err := files.Resolve()
	if err != nil {
		return Saved{}, fmt.Errorf("read the %s configuration: %w", name, err)
	}
	return Saved{c, files, at}, nil
}

// readFiles returns the text of a saved configuration and the time at which it was saved, or ErrNone.
func (s Store) readFiles(name string) (config.Files, time.Time, error) {
	link, err := os.Lstat(filepath.Dir(s.path(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return config.Files{}, time.Time{}, ErrNone
	}
	if err != nil {
		return config.Files{}, time.Time{}, fmt.Errorf("read the %s configuration: %w", name, err)
	}
	files, err := config.ReadFiles(s.path(name))
	if err != nil {
		return config.Files{}, time.Time{}, fmt.Errorf("read the %s configuration: %w", name, err)
	}
	return files, link.ModTime(), nil
}

// Confirm saves a configuration that is in force and needs no confirmation. It forgets an unconfirmed one. It writes nothing
// when the same is saved already.
func (s Store) Confirm(files config.Files) error {
	if err := s.write(confirmedName, files); err != nil {
		return fmt.Errorf("save the confirmed configuration: %w", err)
	}
	return nil
}

// AwaitConfirmation saves a configuration before it is applied until it is confirmed.
func (s Store) AwaitConfirmation(files config.Files) error {
	if err := s.write(unconfirmedName, files); err != nil {
		return fmt.Errorf("save the configuration that is not confirmed: %w", err)
	}
	return nil
}

// Commit makes the unconfirmed configuration the confirmed one.
func (s Store) Commit() error {
	dir, err := s.open()
	if err != nil {
		return fmt.Errorf("save the confirmed configuration: %w", err)
	}
	defer dir.root.Close()
	if err := dir.rename(unconfirmedName, confirmedName); err != nil {
		return fmt.Errorf("save the confirmed configuration: %w", err)
	}
	return nil
}
