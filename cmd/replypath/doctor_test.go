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

func TestDoctorAsksForConfirmationOnlyOnATerminal(t *testing.T) {
	for answer, want := range map[string]bool{"y": true, "YES": true, "": false, "n": false, "what?": false} {
		first, second := openTerminal(t)
		var prompt bytes.Buffer
		p := &program{stderr: &prompt}
		fmt.Fprintln(first, answer)
		if confirmed, err := p.askConfirmation(second); err != nil || confirmed != want || !strings.Contains(prompt.String(), "[y/N]") {
			t.Errorf("%q: %t, %v, asked %q", answer, confirmed, err, prompt.String())
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := new(program).askConfirmation(null); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("without a terminal: %v", err)
	}
}

func TestDoctorWrapsToTheTerminalWidth(t *testing.T) {
	_, second := openTerminal(t)
	for columns, want := range map[uint16]int{0: 100, 20: 40, 60: 60, 300: 100} {
		if err := unix.IoctlSetWinsize(int(second.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
			t.Fatal(err)
		}
		if got := (&program{stdout: second}).textColumns(); got != want {
			t.Errorf("%d columns: %d wide, want %d", columns, got, want)
		}
	}
	words := strings.Repeat("word ", 40)
	var out bytes.Buffer
	err := (&program{stdout: &out}).writeDiagnosis([]doctor.Finding{
		{ID: "a-finding", Severity: doctor.Error, Message: words, Evidence: []string{words, "steer\x1b[2J it"}, Remedy: words, Fixable: true},
		{ID: "another", Severity: doctor.Note, Message: "short", Remedy: "nothing"},
		{ID: "third", Severity: doctor.Note, Message: "short", Remedy: "type", Commands: []string{"ip rule add priority 32764 iif lo goto 32766", "true"}},
	}, []doctor.Skipped{{Subject: "connections", Reason: words}})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > maxTextColumns || strings.Contains(line, "\x1b") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	for _, want := range []string{"1 error\n  a-finding: word word", "\n    | word word", "\n    |   word", "\n    > word", "2 notes\n  another: short\n    > nothing\n", "    > type\n      ip rule add priority 32764 iif lo goto 32766\n      true\n",
		"skipped\n  connections: word", "replypath doctor --fix can fix 1 of them\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
