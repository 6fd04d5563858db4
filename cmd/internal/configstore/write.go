package configstore

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"replypath/cmd/internal/config"
	"replypath/health/trustedfile"
)

// directory is the directory of one configuration file's store.
type directory struct {
	root    *os.Root
	changes func() // is called before each change, for tests
}

// open makes the directory if there is none, and opens it.
func (s Store) open() (*directory, error) {
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return nil, err
	}
	root, err := trustedfile.OpenDir(s.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := root.Mkdir(s.key, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	own, err := root.OpenRoot(s.key)
	return &directory{own, s.changes}, err
}

// write saves the files under the name, unless they are saved already.
func (s Store) write(name string, files config.Files) error {
	dir, err := s.open()
	if err != nil {
		return err
	}
	defer dir.root.Close()
	if saved, _, err := s.readFiles(name); err != nil || !saved.SameText(files) {
		if err := dir.replace(name, files); err != nil {
			return err
		}
	}
	if name == confirmedName {
		err = dir.remove(unconfirmedName)
	}
	return errors.Join(err, dir.removeUnused())
}

// replace writes the files into a new directory, and makes the link of that name lead to it.
func (d *directory) replace(name string, files config.Files) error {
	version, link := "version-"+rand.Text(), "link-"+rand.Text()
	err := d.writeFiles(version, files)
	if err == nil {
		d.changes()
		err = d.root.Symlink(version, link)
	}
	if err == nil {
		err = d.rename(link, name)
	}
	if err != nil {
		return errors.Join(err, d.remove(link), d.root.RemoveAll(version))
	}
	return nil
}

// writeFiles writes the files to disk below a new directory.
func (d *directory) writeFiles(version string, files config.Files) error {
	dirs := map[string]bool{}
	for _, f := range files {
		path := filepath.Join(version, f.Name())
		for _, parent := range []string{version, filepath.Dir(path)} {
			if dirs[parent] {
				continue
			}
			d.changes()
			if err := d.root.Mkdir(parent, 0o700); err != nil {
				return err
			}
			dirs[parent] = true
		}
		if err := d.writeFile(path, f.Text); err != nil {
			return err
		}
	}
	for path := range dirs {
		if err := d.sync(path); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) writeFile(path, text string) error {
	d.changes()
	f, err := d.root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	d.changes()
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// rename renames a link, and writes that to disk.
func (d *directory) rename(from, to string) error {
	d.changes()
	if err := d.root.Rename(from, to); err != nil {
		return err
	}
	return d.sync(".")
}

// sync writes the entries of a directory to disk.
func (d *directory) sync(path string) error {
	f, err := d.root.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *directory) remove(name string) error {
	d.changes()
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeUnused removes what no link leads to: older versions, and what a crash has left.
func (d *directory) removeUnused() error {
	used := map[string]bool{confirmedName: true, unconfirmedName: true}
	for _, name := range []string{confirmedName, unconfirmedName} {
		if version, err := d.root.Readlink(name); err == nil {
			used[version] = true
		}
	}
	entries, err := fs.ReadDir(d.root.FS(), ".")
	for _, e := range entries {
		if !used[e.Name()] {
			d.changes()
			err = errors.Join(err, d.root.RemoveAll(e.Name()))
		}
	}
	return err
}
