package config

import (
	"path/filepath"
	"reflect"
)

// Files are the texts of a configuration.
type Files []File

// File is the text of one file.
type File struct {
	Path   string
	Uplink string // of a file in uplinks.d; empty: the main file
	Text   string
}

// Resolve checks the texts. It returns Mistakes if they are invalid.
func (f Files) Resolve() (Config, error) {
	sources := make([]*source, len(f))
	for i, file := range f {
		sources[i] = &source{path: file.Path, name: file.Uplink, text: file.Text}
	}
	c, mistakes := resolve(sources)
	if len(mistakes) > 0 {
		return Config{}, mistakes
	}
	return c, nil
}

// SameText reports whether both have the same texts, whatever their directories.
func (f Files) SameText(other Files) bool {
	if len(f) != len(other) {
		return false
	}
	for i, file := range f {
		if o := other[i]; file.Uplink != o.Uplink || file.Text != o.Text {
			return false
		}
	}
	return true
}

// Name returns the path of the file below the directory of the main file.
func (f File) Name() string {
	if f.Uplink == "" {
		return filepath.Base(f.Path)
	}
	return filepath.Join(uplinksDir, f.Uplink+".toml")
}

// Equal reports whether both configurations say the same, in whatever words.
func (c Config) Equal(other Config) bool { return reflect.DeepEqual(c, other) }
