package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"replypath/uplinks"
)

// sysctlFolders are where sysctls are set at boot, those that win last (sysctl.d(5)).
var sysctlFolders = []string{"/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d"}

// setAtBoot names the files that set these sysctls. The last one wins, as at boot.
func setAtBoot(sysctls []uplinks.Tunable) map[uplinks.Tunable]string {
	by := map[uplinks.Tunable]string{}
	for _, file := range sysctlFiles() {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			name, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "-"), "=")
			if !ok || strings.HasPrefix(name, "#") || strings.HasPrefix(name, ";") {
				continue
			}
			for _, t := range sysctls {
				if slashes(name) == t.Path() {
					by[t] = file
				}
			}
		}
	}
	return by
}

// slashes is a sysctl's name as the path of its file. A name with a slash first has dots in its parts.
func slashes(name string) string {
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
func sysctlFiles() []string {
	of := map[string]string{}
	for _, folder := range sysctlFolders {
		files, _ := filepath.Glob(filepath.Join(folder, "*.conf"))
		for _, file := range files {
			of[filepath.Base(file)] = file
		}
	}
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []string
	for _, name := range names {
		all = append(all, of[name])
	}
	return append(all, "/etc/sysctl.conf")
}
