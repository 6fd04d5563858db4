package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// processes returns the ids of those that have the text in their environment.
func processes(t *testing.T, marker string) (ids []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		// One that cannot be read has ended meanwhile, or is not ours.
		if text, err := os.ReadFile(p); err == nil && bytes.Contains(text, []byte(marker)) {
			ids = append(ids, strings.Split(p, "/")[2])
		}
	}
	return ids
}

// leftovers returns what a demo could leave behind beside processes: links, network namespaces that have a name or are
// mounted, and files.
func leftovers(t *testing.T) string {
	t.Helper()
	var all []string
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		all = append(all, "link "+l.Name)
	}
	for _, pattern := range []string{"/run/netns/*", "/var/run/netns/*", "/run/demo-*", "/run/replypath*", "/tmp/demo-[0-9]*", "/var/lib/replypath/*demo*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, paths...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " nsfs ") {
			all = append(all, "mount "+strings.TrimSpace(line))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
