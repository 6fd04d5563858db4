// Package systemd reads configuration files in the order in which systemd reads them. Paths that it returns are relative to
// the root of the host's files, and begin with a slash.
package systemd

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// configDirs are the folders of systemd's own configuration; a later one takes precedence (systemd-system.conf(5)).
var configDirs = []string{"/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd"}

// ConfigFiles returns the files that make up a configuration such as networkd.conf, in the order in which they are read.
func ConfigFiles(root, name string) (files []string) {
	var dropInDirs []string
	for _, dir := range configDirs {
		dropInDirs = append(dropInDirs, filepath.Join(dir, name+".d"))
	}
	for _, dir := range slices.Backward(configDirs) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			files = append(files, path)
			break
		}
	}
	return append(files, dropIns(root, dropInDirs, "*.conf")...)
}

// EnabledBy returns the symbolic link by which systemd starts the unit at boot, empty if there is none.
func EnabledBy(root, unit string) string {
	links, _ := filepath.Glob(filepath.Join(root, "/etc/systemd/system/*.wants", unit))
	if len(links) == 0 {
		return ""
	}
	return RelativeTo(root, links[0])
}

// RelativeTo returns the path relative to the root, with a slash before it.
func RelativeTo(root, path string) string {
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return "/" + relative
}

// dropIns returns the files in the folders that match the pattern, sorted by their names. A file in a later folder replaces
// one of the same name in an earlier folder.
func dropIns(root string, dirs []string, pattern string) (files []string) {
	byName := map[string]string{}
	for _, dir := range dirs {
		paths, _ := filepath.Glob(filepath.Join(root, dir, pattern))
		for _, path := range paths {
			byName[filepath.Base(path)] = filepath.Join(dir, filepath.Base(path))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		files = append(files, byName[name])
	}
	return files
}
