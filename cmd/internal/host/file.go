package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// save writes the whole record anew and puts it in place at once: a crash leaves the old or the new. Nothing to
// remember, no file.
func (r *record) save() error {
	if len(r.Tunables)+len(r.Made) == 0 {
		if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remember what was found: %w", err)
		}
		return nil
	}
	text, err := json.MarshalIndent(r.notes, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return fmt.Errorf("remember what was found: %w", err)
	}
	if err := replace(r.path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("remember what was found: %w", err)
	}
	return nil
}

// replace puts a file in place at once.
func replace(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
