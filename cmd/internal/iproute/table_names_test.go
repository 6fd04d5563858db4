package iproute

import (
	"os"
	"path/filepath"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

func TestTableNamesAreReadableByIP(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("rt_tables", "# numbers\n254\tmain\n7\tvpn\n")
	write("rt_tables.d/other.conf", "100 dsl\n")
	s := uplinks.DefaultSettings()
	for i, name := range []string{"fibre", "vpn", "dsl", "254", "all", "lte-2"} {
		s.Uplinks = append(s.Uplinks, uplinks.Uplink{Name: name, ID: marks.ID(1 + i)})
	}
	ours := filepath.Join(dir, "rt_tables.d", "replypath.conf")
	for range 2 {
		if err := writeTableNames(dir, s); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(ours)
		if want := "8201\tfibre\n8206\tlte-2\n"; err != nil || string(text) != want {
			t.Fatalf("%q, %v; want %q", text, err, want)
		}
	}
	if err := writeTableNames(dir, uplinks.Settings{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ours); !os.IsNotExist(err) {
		t.Errorf("the names are still there: %v", err)
	}
	if err := writeTableNames(filepath.Join(dir, "none"), s); err != nil {
		t.Errorf("a host without ip(8): %v", err)
	}
}
