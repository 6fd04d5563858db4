package iproute

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"replypath/cmd/internal/atomicfile"
	"replypath/cmd/internal/namespace"
	"replypath/uplinks"
)

// iprouteDir is where ip(8) reads the names of tables from. It is the whole host's, so only the network namespace of the
// host's first process gives names there.
const iprouteDir = "/etc/iproute2"

// WriteTableNames gives the uplinks' tables their names, so that ip(8) shows them. Without uplinks it takes the names away.
// A name that ip(8) would read as something else is left out.
func WriteTableNames(s uplinks.Settings) error {
	if own, err := namespace.IsInitial(); err != nil || !own {
		return err
	}
	return writeTableNames(iprouteDir, s)
}

func writeTableNames(dir string, s uplinks.Settings) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	path := filepath.Join(dir, "rt_tables.d", "replypath.conf")
	text := formatTableNames(s, reservedNames(dir, path))
	if now, _ := os.ReadFile(path); bytes.Equal(now, text) {
		return nil
	}
	if len(text) == 0 {
		return os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("name the tables: %w", err)
	}
	if err := atomicfile.Write(path, text, 0o644); err != nil {
		return fmt.Errorf("name the tables: %w", err)
	}
	return nil
}

func formatTableNames(s uplinks.Settings, reserved map[string]bool) []byte {
	var text bytes.Buffer
	for _, u := range s.Uplinks {
		if !reserved[u.Name] && strings.ContainsFunc(u.Name, unicode.IsLetter) {
			fmt.Fprintf(&text, "%d\t%s\n", s.Table(u), u.Name)
		}
	}
	return text.Bytes()
}

// reservedNames are the words that mean something to ip(8) already: its own, and the names that others gave.
func reservedNames(dir, ours string) map[string]bool {
	words := map[string]bool{"all": true, "cache": true} // keywords of ip-route(8) beside a table's name
	for _, name := range uplinks.ReservedTableNames() {
		words[name] = true
	}
	files, _ := filepath.Glob(filepath.Join(dir, "rt_tables.d", "*.conf"))
	for _, file := range append(files, filepath.Join(dir, "rt_tables"), "/usr/share/iproute2/rt_tables") {
		text, err := os.ReadFile(file)
		if err != nil || file == ours {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && !strings.HasPrefix(f[0], "#") {
				words[f[1]] = true
			}
		}
	}
	return words
}
