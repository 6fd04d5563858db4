package systemd

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"replypath/uplinks"
)

// sysctlDirs are the folders of files that set sysctls at boot; a later one takes precedence (sysctl.d(5)).
var sysctlDirs = []string{"/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d"}

// SysctlSources returns the file that sets each of the sysctls at boot. A sysctl that no file sets is not in the map. The
// setting for "default" counts for a link without its own, as the link gets it when it is made.
func SysctlSources(root string, sysctls []uplinks.Tunable) map[uplinks.Tunable]string {
	var settings []sysctlSetting
	for _, file := range append(dropIns(root, sysctlDirs, "*.conf"), "/etc/sysctl.conf") {
		settings = append(settings, parseSysctlFile(root, file)...)
	}
	sources := map[uplinks.Tunable]string{}
	for _, t := range sysctls {
		file := lastSetter(settings, t.Path())
		if file == "" && t.Link != "" && t.Link != "all" {
			file = lastSetter(settings, uplinks.Tunable{Link: "default", Name: t.Name}.Path())
		}
		if file != "" {
			sources[t] = file
		}
	}
	return sources
}

// sysctlSetting is a line of a file.
type sysctlSetting struct {
	name, file string // name may be a glob pattern
	excluded   bool   // the line "-name": no pattern sets this sysctl
}

func parseSysctlFile(root, file string) (settings []sysctlSetting) {
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		line, ignoresErrors := strings.CutPrefix(strings.TrimSpace(line), "-")
		name, _, assigns := strings.Cut(line, "=")
		if strings.HasPrefix(name, "#") || strings.HasPrefix(name, ";") || !assigns && !ignoresErrors {
			continue
		}
		settings = append(settings, sysctlSetting{sysctlPath(name), file, !assigns})
	}
	return settings
}

// lastSetter returns the file whose setting of the sysctl is in force at the end, empty if there is none. A setting by name
// takes precedence over every pattern (sysctl.d(5)).
func lastSetter(settings []sysctlSetting, sysctl string) (file string) {
	named := false
	for _, s := range settings {
		matches, _ := path.Match(s.name, sysctl)
		switch {
		case s.name == sysctl:
			named, file = true, s.file
			if s.excluded {
				file = ""
			}
		case matches && !named:
			file = s.file
		}
	}
	return file
}

// sysctlPath returns the path below /proc/sys of a sysctl. If the first separator in the name is a slash, dots are parts of
// the components; otherwise slashes are (sysctl(8)).
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
