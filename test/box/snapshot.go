package box

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"replypath/test/world"

	"github.com/google/go-cmp/cmp"
)

// Snapshot is all of a host's kernel that routing and filtering depend on, as the usual commands print it.
type Snapshot map[string]string

// counters are what packets change in listings; comments are lines with the time of day.
var (
	counters = regexp.MustCompile(`\[\d+:\d+\]|packets \d+ bytes \d+`)
	comments = regexp.MustCompile(`(?m)^#.*\n`)
)

// TakeSnapshot takes a snapshot.
func TakeSnapshot(h *world.Host) Snapshot {
	s := Snapshot{"sysctl": sysctls(h)}
	for _, family := range []string{"-4", "-6"} {
		s["rules "+family] = h.Run("ip", "-d", "-N", family, "rule")
		s["routes "+family] = h.Run("ip", "-d", "-N", family, "route", "show", "table", "all")
	}
	s["links"] = h.Run("ip", "-d", "-N", "link")
	for _, save := range SaveCommands {
		s[save] = Normalize(h.Run(save))
	}
	s["nft"] = Normalize(h.Run("nft", "-s", "list", "ruleset"))
	return s
}

// SaveCommands are the commands that list the rules of all iptables backends.
var SaveCommands = []string{"iptables-nft-save", "iptables-legacy-save", "ip6tables-nft-save", "ip6tables-legacy-save"}

// Normalize removes comments and packet counters from the output of an iptables-save command.
func Normalize(text string) string {
	return counters.ReplaceAllString(comments.ReplaceAllString(text, ""), "")
}

// volatileSysctls are sysctls that are gauges, or secrets made at the first look.
var volatileSysctls = regexp.MustCompile(`nf_conntrack_count|fastopen_key|ipv[46]/route/flush|stable_secret`)

func sysctls(h *world.Host) string {
	var all strings.Builder
	h.Do(func() {
		filepath.WalkDir("/proc/sys/net", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !volatileSysctls.MatchString(path) {
				value, _ := os.ReadFile(path)
				all.WriteString(path + " = " + strings.TrimSpace(string(value)) + "\n")
			}
			return nil
		})
	})
	return all.String()
}

// WantSame wants the host to be as it was, in all that the snapshot has.
func (s Snapshot) WantSame(t *testing.T, after string, h *world.Host) {
	t.Helper()
	now := TakeSnapshot(h)
	for section, before := range s {
		if before != now[section] {
			diff := cmp.Diff(lines(before), lines(now[section]))
			t.Errorf("%s: %s are not as before (-before +now):\n%s", after, section, diff)
		}
	}
}

func lines(text string) []string { return strings.Split(text, "\n") }

// LegacyTable makes the kernel's legacy mangle tables, which nothing takes away again once anybody has looked at them.
func LegacyTable(h *world.Host) {
	h.Run("iptables-legacy", "-t", "mangle", "-S")
	h.Run("ip6tables-legacy", "-t", "mangle", "-S")
}
