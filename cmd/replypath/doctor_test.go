package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"replypath/cmd/internal/doctor"

	"golang.org/x/sys/unix"
)

func TestDoctorAsksOnATerminalAlone(t *testing.T) {
	for answer, want := range map[string]bool{"y": true, "YES": true, "": false, "n": false, "what?": false} {
		first, second := terminal(t)
		var asked bytes.Buffer
		p := &program{stderr: &asked}
		fmt.Fprintln(first, answer)
		if sure, err := p.sure(second); err != nil || sure != want || !strings.Contains(asked.String(), "[y/N]") {
			t.Errorf("%q: %t, %v, asked %q", answer, sure, err, asked.String())
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := new(program).sure(null); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("nobody is there: %v", err)
	}
}

func TestDoctorKeepsToTheTerminalsWidth(t *testing.T) {
	_, second := terminal(t)
	for columns, want := range map[uint16]int{0: 100, 20: 40, 60: 60, 300: 100} {
		if err := unix.IoctlSetWinsize(int(second.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
			t.Fatal(err)
		}
		if got := (&program{stdout: second}).width(); got != want {
			t.Errorf("%d columns: %d wide, want %d", columns, got, want)
		}
	}
	words := strings.Repeat("word ", 40)
	var out bytes.Buffer
	err := (&program{stdout: &out}).writeDiagnosis([]doctor.Finding{
		{ID: "a-finding", Severity: doctor.Error, What: words, Evidence: []string{words, "steer\x1b[2J it"}, Remedy: words, Fixable: true},
		{ID: "another", Severity: doctor.Note, What: "short", Remedy: "nothing"},
	}, []doctor.Unseen{{What: "connections", Why: words}})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > fullWidth || strings.Contains(line, "\x1b") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	for _, want := range []string{"1 error\n  a-finding: word word", "\n    | word word", "\n    |   word", "\n    > word", "1 note\n  another: short\n    > nothing\n",
		"could not look at\n  connections: word", "replypath doctor --fix can do 1 of it\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
