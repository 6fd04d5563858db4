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

// iprouteDir is the folder of the host from which ip(8) reads the names of tables. Only a process in the initial network
// namespace writes there, as other namespaces share the folder.
const iprouteDir = "/etc/iproute2"

// WriteTableNames names the routing tables of the uplinks for ip(8). Without uplinks it removes the names. It leaves out
// names that ip(8) would read as a keyword, a number or another table.
func WriteTableNames(s uplinks.Settings) error {
	if initial, err := namespace.IsInitial(); err != nil || !initial {
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
	if now, _ := atomicfile.Read(path); bytes.Equal(now, text) {
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

// reservedNames returns the words that ip(8) does not read as the name of an uplink's table: keywords, and names of other
// tables. ours is the file that WriteTableNames writes.
func reservedNames(dir, ours string) map[string]bool {
	words := map[string]bool{"all": true, "cache": true} // keywords of ip-route(8) beside a table's name
	for _, name := range uplinks.ReservedTableNames() {
		words[name] = true
	}
	files, _ := filepath.Glob(filepath.Join(dir, "rt_tables.d", "*.conf"))
	for _, file := range append(files, filepath.Join(dir, "rt_tables"), "/usr/share/iproute2/rt_tables") {
		if file == ours {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
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
