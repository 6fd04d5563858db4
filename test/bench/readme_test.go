package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheREADMEGetsOnlyWhatIsBetweenItsMarks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("before\n"+opening+"stale\n"+closing+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := results{
		short:  []*table{{title: "Title", columns: []string{"a", "b"}, rows: [][]string{{"x", "1.00"}}}},
		claims: []claim{{what: "good", figure: sample{1}, bound: 2}, {what: "bad", figure: sample{3}, bound: 2}},
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
	for _, want := range []string{"| x   | 1.00 |", "Of 2 bounds that the bench has, 1 held", "| bad  | 3.00 (3.00-3.00) | at most 2.00 |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
