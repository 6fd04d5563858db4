package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"replypath/health/trustedfile"
)

// maxSize limits a file to 1 MiB, far more than 255 uplinks need.
const maxSize = 1 << 20

// uplinksDir is the directory with a file for each uplink.
const uplinksDir = "uplinks.d"

// ReadFiles reads the file at path and the *.toml files in the directory uplinks.d beside it, and does not check what they say. It
// returns fs.ErrNotExist if neither the file nor any file in uplinks.d exists, and otherwise an error that names the file or
// directory that cannot be read.
func ReadFiles(path string) (Files, error) {
	sources, err := readSources(path)
	if err != nil {
		return nil, err
	}
	files := make(Files, len(sources))
	for i, s := range sources {
		files[i] = File{s.path, s.name, s.text}
	}
	return files, nil
}

// readSources reads all files.
func readSources(path string) (sources []*source, err error) {
	text, missing := readFile(path)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return nil, missing
	}
	if missing == nil {
		sources = append(sources, &source{path: path, text: text})
	}
	folder := filepath.Join(filepath.Dir(path), uplinksDir)
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

// readUplinkFile reads the file of the named uplink in uplinks.d.
func readUplinkFile(path, name string) (*source, error) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		// fs.ErrNotExist would mean that there is no configuration.
		err = fmt.Errorf("read configuration: %s: removed while the directory was read", path)
	}
	return &source{path: path, name: name, text: text}, err
}

// readFile reads a file that is trusted, following symbolic links, and drops a byte order mark.
func readFile(path string) (text string, err error) {
	f, err := trustedfile.Open(path)
	if err != nil {
		return "", notExistError(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read configuration: %w", err)
	case len(b) > maxSize:
		return "", fmt.Errorf("read configuration: %s: larger than 1 MiB", path)
	}
	return strings.TrimPrefix(string(b), "\ufeff"), nil
}

// notExistError returns a distinct error, not fs.ErrNotExist, for a dangling symbolic link.
func notExistError(path string, err error) error {
	if _, there := os.Lstat(path); there == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read configuration: %s: dangling symbolic link", path)
	}
	return fmt.Errorf("read configuration: %w", err)
}
