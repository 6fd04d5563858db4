package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDocumentIsChangedOnlyBetweenItsMarkers(t *testing.T) {
	const opening, closing = "<!-- bench -->\n", "<!-- /bench -->\n"
	file := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(file, []byte("before\n"+opening+"stale\n"+closing+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := results{
		short:        []*table{{title: "Title", columns: []string{"a", "b"}, rows: [][]string{{"x", "1.00"}}}},
		requirements: []requirement{{name: "good", figure: sample{1}, bound: 2}, {name: "bad", figure: sample{3}, bound: 2}, {name: "nearly", figure: sample{1, 1, 3, 3, 3}, bound: 2}},
	}
	r.writeInto(file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "before\n"+opening) || !strings.HasSuffix(got, closing+"after\n") || strings.Contains(got, "stale") {
		t.Error(got)
	}
	for _, want := range []string{"| x   | 1.00 |", "Of 3 bounds that the bench has, 1 held, 1 more within noise", "| bad    | 3.00 (3.00-3.00) | at most 2.00 | FAIL              |",
		"| nearly | 3.00 (1.00-3.00) | at most 2.00 | PASS within noise |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
