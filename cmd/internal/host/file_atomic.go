package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile writes the whole record anew and puts it in place at once: a crash leaves the old or the new. Nothing to
// remember, no file.
func (r *savedOriginals) writeFile() error {
	if len(r.Tunables)+len(r.Made) == 0 {
		return writeJSON[originals](r.path, nil)
	}
	return writeJSON(r.path, &r.originals)
}

// writeFileAtomic puts a file in place at once.
func writeFileAtomic(path string, text []byte, mode fs.FileMode) error {
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
