package host

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"replypath/uplinks"
)

// sysctlFolders are where sysctls are set at boot, those that win last (sysctl.d(5)).
var sysctlFolders = []string{"/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d"}

// setAtBoot names the files that set these sysctls. The last one wins, as at boot; what is set for all links that are
// made from then on counts for a link that nothing else is said of.
func setAtBoot(root string, sysctls []uplinks.Tunable) map[uplinks.Tunable]string {
	var settings []setting
	for _, file := range sysctlFiles(root) {
		settings = append(settings, settingsIn(root, file)...)
	}
	by := map[uplinks.Tunable]string{}
	for _, t := range sysctls {
		file := settler(settings, t.Path())
		if file == "" && t.Link != "" && t.Link != "all" {
			file = settler(settings, uplinks.Tunable{Link: "default", Name: t.Name}.Path())
		}
		if file != "" {
			by[t] = file
		}
	}
	return by
}

// setting is a line of a file. The name may be a pattern; one that is left out is in no pattern.
type setting struct {
	name, file string
	leftOut    bool
}

func settingsIn(root, file string) (all []setting) {
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
		all = append(all, setting{slashes(name), file, !sets})
	}
	return all
}

// settler is the last file that sets the sysctl at this path. A name of its own wins over every pattern (sysctl.d(5)).
func settler(settings []setting, at string) (file string) {
	own := false
	for _, s := range settings {
		fits, _ := path.Match(s.name, at)
		switch {
		case s.name == at:
			own, file = true, s.file
			if s.leftOut {
				file = ""
			}
		case fits && !own:
			file = s.file
		}
	}
	return file
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
func sysctlFiles(root string) []string {
	return append(dropIns(root, sysctlFolders, "*.conf"), "/etc/sysctl.conf")
}

// dropIns are the files in folders below the root, as they are called below it.
func dropIns(root string, folders []string, pattern string) (all []string) {
	of := map[string]string{}
	for _, folder := range folders {
		files, _ := filepath.Glob(filepath.Join(root, folder, pattern))
		for _, file := range files {
			of[filepath.Base(file)] = filepath.Join(folder, filepath.Base(file))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, of[name])
	}
	return all
}
