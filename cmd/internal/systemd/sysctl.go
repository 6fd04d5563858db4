// Package systemd reads configuration files the way that systemd does.
package systemd

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"replypath/uplinks"
)

// sysctlDirs are where sysctls are set at boot, those that win last (sysctl.d(5)).
var sysctlDirs = []string{"/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d"}

// SysctlSources names the files that set these sysctls. The last one wins, as at boot; what is set for all links that are
// made from then on counts for a link that nothing else is said of.
func SysctlSources(root string, sysctls []uplinks.Tunable) map[uplinks.Tunable]string {
	var settings []sysctlLine
	for _, file := range sysctlFiles(root) {
		settings = append(settings, parseSysctlFile(root, file)...)
	}
	by := map[uplinks.Tunable]string{}
	for _, t := range sysctls {
		file := lastSetter(settings, t.Path())
		if file == "" && t.Link != "" && t.Link != "all" {
			file = lastSetter(settings, uplinks.Tunable{Link: "default", Name: t.Name}.Path())
		}
		if file != "" {
			by[t] = file
		}
	}
	return by
}

// sysctlLine is a line of a file. The name may be a pattern; one that is left out is in no pattern.
type sysctlLine struct {
	name, file string
	excluded   bool
}

func parseSysctlFile(root, file string) (all []sysctlLine) {
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		line, lenient := strings.CutPrefix(strings.TrimSpace(line), "-")
		name, _, sets := strings.Cut(line, "=")
		if strings.HasPrefix(name, "#") || strings.HasPrefix(name, ";") || !sets && !lenient {
			continue
		}
		all = append(all, sysctlLine{sysctlPath(name), file, !sets})
	}
	return all
}

// lastSetter is the last file that sets the sysctl at this path. A name of its own wins over every pattern (sysctl.d(5)).
func lastSetter(settings []sysctlLine, sysctl string) (file string) {
	own := false
	for _, s := range settings {
		fits, _ := path.Match(s.name, sysctl)
		switch {
		case s.name == sysctl:
			own, file = true, s.file
			if s.excluded {
				file = ""
			}
		case fits && !own:
			file = s.file
		}
	}
	return file
}

// sysctlPath is a sysctl's name as the path of its file. A name with a slash first has dots in its parts.
func sysctlPath(name string) string {
	name = strings.TrimSpace(name)
	dot, slash := strings.IndexByte(name, '.'), strings.IndexByte(name, '/')
	if slash >= 0 && (dot < 0 || slash < dot) {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}

// sysctlFiles are in the order of their names, whatever folder they are in; one in a later folder hides one of the same
// name in an earlier.
func sysctlFiles(root string) []string {
	return append(DropIns(root, sysctlDirs, "*.conf"), "/etc/sysctl.conf")
}

// DropIns are the files in folders below the root, as they are called below it.
func DropIns(root string, folders []string, pattern string) (all []string) {
	byName := map[string]string{}
	for _, folder := range folders {
		files, _ := filepath.Glob(filepath.Join(root, folder, pattern))
		for _, file := range files {
			byName[filepath.Base(file)] = filepath.Join(folder, filepath.Base(file))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}
