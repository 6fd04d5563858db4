package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/house"
)

// updateVariable makes the whole matrix rewrite its part of the page, as for the other pages.
const updateVariable = "UPDATE_DOCUMENTS"

// report logs what was wrong in each row, and how much of it.
func report(t *testing.T, rows []fault, todo []cell, outcomes []outcome) {
	t.Helper()
	var sum outcome
	var slowest time.Duration
	for i, o := range outcomes {
		sum.falseYes, sum.falseNo, sum.wrongCause = sum.falseYes+o.falseYes, sum.falseNo+o.falseNo, sum.wrongCause+o.wrongCause
		sum.unnoticed, sum.unfound, slowest = sum.unnoticed+o.unnoticed, sum.unfound+o.unfound, max(slowest, o.noticed)
		if len(o.problems) > 0 {
			t.Logf("%s, noticed after %s:\n    %s", rows[todo[i].row].name, o.noticed, strings.Join(o.problems, "\n    "))
		}
	}
	t.Logf("%d runs of %d rows: false yes %d, false no %d, wrong cause %d, not noticed %d, not found by doctor %d; noticed after %s at most",
		len(todo), len(rows), sum.falseYes, sum.falseNo, sum.wrongCause, sum.unnoticed, sum.unfound, slowest)
}

// text returns the row of the page: what is lost, and what verify, the service and doctor report, as the test has seen it.
func (f fault) text() string {
	hurt, _ := f.hurt()
	lost, verdict, service, doctor := f.lost.String(), "yes", "up", f.doctor
	switch {
	case f.refused:
		lost = "refused: " + lost
	case len(hurt) == 0:
		lost = "none"
	case f.absent:
		verdict, service = "unknown or absent", f.service.String()
	case f.unknown, f.some:
		verdict, service = "unknown "+strings.ReplaceAll(codes(f.cause), "or `stray`", "or no `stray`"), f.service.String()
	default:
		verdict, service = "no "+codes(f.cause), f.service.String()
	}
	if len(hurt) == 0 && f.warns != "" {
		verdict = "warning " + codes(f.warns)
	}
	if f.service == repairs {
		service = f.service.String()
	}
	if doctor != "" {
		doctor = codes(doctor)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |", f.name, lost, verdict, service, doctor)
}

// codes returns words that are separated by bars as code.
func codes(words string) string { return "`" + strings.ReplaceAll(words, "|", "` or `") + "`" }

// document returns the part of the page: the counts, and a table for each group.
func document() string {
	var text strings.Builder
	faults := 0
	for _, g := range groups {
		faults += len(g.rows)
	}
	fmt.Fprintf(&text, "%d faults and %d healthy hosts.\n", faults-len(healthyHosts), len(healthyHosts))
	for _, g := range groups {
		fmt.Fprintf(&text, "\n**%s**\n\n| planted | lost | verify | service | doctor |\n| --- | --- | --- | --- | --- |\n", g.title)
		for _, f := range g.rows {
			fmt.Fprintln(&text, f.text())
		}
	}
	return text.String()
}

// comparePage compares the page with the rows, which the test compares with the program. The whole matrix can rewrite it.
func comparePage(t *testing.T) {
	t.Helper()
	page := house.ReadDocument(t, house.Proof)
	const begin, end = "<!-- matrix -->\n", "<!-- /matrix -->\n"
	before, rest, opened := strings.Cut(page, begin)
	was, after, closed := strings.Cut(rest, end)
	now := document()
	switch {
	case !opened || !closed:
		t.Fatalf("%s has no place between %q and %q", house.Proof, begin, end)
	case was == now:
	case os.Getenv(wholeVariable) == "" || os.Getenv(updateVariable) == "" || t.Failed():
		t.Errorf("%s differs from the matrix (if the program is right: make matrix UPDATE_DOCUMENTS=1):\n%s", house.Proof, now)
	default:
		if err := os.WriteFile(filepath.Join(house.Top, house.Proof), []byte(before+begin+now+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
