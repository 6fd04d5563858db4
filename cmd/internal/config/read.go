package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSize is far more than 255 uplinks can fill.
const maxSize = 1 << 20

// Read reads the file and the *.toml in the folder uplinks.d beside it. The error is Mistakes for an invalid
// configuration; it is fs.ErrNotExist when there is neither the file nor any file in uplinks.d, and says which file
// or folder when one cannot be read.
func Read(path string) (Config, error) {
	sources, err := readSources(path)
	if err != nil {
		return Config{}, err
	}
	c, mistakes := resolve(sources)
	if len(mistakes) > 0 {
		return Config{}, mistakes
	}
	return c, nil
}

// readSources reads the texts of all files.
func readSources(path string) (sources []*source, err error) {
	text, missing := readFile(path)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return nil, missing
	}
	if missing == nil {
		sources = append(sources, &source{path: path, text: text})
	}
	folder := filepath.Join(filepath.Dir(path), "uplinks.d")
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var errs []error
	for _, e := range entries {
		name, isTOML := strings.CutSuffix(e.Name(), ".toml")
		if !isTOML || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		s, err := readUplinkFile(filepath.Join(folder, e.Name()), name)
		sources, errs = append(sources, s), append(errs, err)
	}
	if len(sources) == 0 {
		return nil, missing
	}
	return sources, errors.Join(errs...)
}

// readUplinkFile reads the file of one uplink.
func readUplinkFile(path, name string) (*source, error) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		// The folder lists it. To call it missing would read as if there were no configuration.
		err = fmt.Errorf("read configuration: %s: listed in its folder, but not there", path)
	}
	return &source{path: path, name: name, text: text}, err
}

// readFile reads one file, whose symbolic links are followed. A byte order mark is left out.
func readFile(path string) (text string, err error) {
	// Without O_NONBLOCK, opening a FIFO would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", notExistError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("read configuration: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("read configuration: %s: not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read configuration: %w", err)
	case len(b) > maxSize:
		return "", fmt.Errorf("read configuration: %s: larger than 1 MiB", path)
	}
	return strings.TrimPrefix(string(b), "\ufeff"), nil
}

// notExistError tells a file that is not there from a symbolic link that leads nowhere.
func notExistError(path string, err error) error {
	if _, there := os.Lstat(path); there == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read configuration: %s: a symbolic link that leads nowhere", path)
	}
	return fmt.Errorf("read configuration: %w", err)
}
