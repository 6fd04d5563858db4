package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs are the demo and what it shows, built as the Makefile does.
var programs struct{ demo, replypath string }

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "demo-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		programs.demo, programs.replypath = filepath.Join(folder, "demo"), filepath.Join(folder, "replypath")
		for program, source := range map[string]string{programs.demo: ".", programs.replypath: "../../cmd/replypath"} {
			build := exec.Command("go", "build", "-trimpath", "-o", program, source)
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "build %s: %v\n%s", source, err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// row returns a line of a table after its label.
func row(cells ...string) string {
	var b strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&b, "%-16s", c)
	}
	return strings.TrimRight(b.String(), " ")
}

func TestDemoShowsTheBrokenRepliesAndTheRepair(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(programs.demo, "-replypath", programs.replypath)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const ok0, ok1, lost0, lost1, none = "ok by eth0", "ok by eth1", "lost by eth0", "lost by eth1", "no reply"
	before := []string{
		row(ok0, ok0, lost0, lost0),
		row(ok0, ok0, lost0, lost0),
		row(ok0, ok0, none, lost0),
		row(lost1, lost1, ok1, ok1),
		row(none, none, none, none),
	}
	own := []string{"ping", "TCP", "UDP", "closed port"}
	all := append(own[:4:4], "TCP to LAN", "UDP to LAN", "closed on LAN")
	labels := [][]string{own, own, all, all, all}
	acts := strings.Split(string(out), "\n(")[1:]
	if len(acts) != len(before) {
		t.Fatalf("%d scenes, expected %d:\n%s", len(acts), len(before), out)
	}
	for i, act := range acts {
		for when, cells := range map[string]string{"BEFORE": before[i], "AFTER": row(ok0, ok0, ok1, ok1)} {
			if want := table(when, labels[i], cells); !strings.Contains(act, want) {
				t.Errorf("scene %d lacks\n%s\nin\n%s", i, want, act)
			}
		}
		for _, output := range []string{"in sync)", "as they were found)", "  removed: "} {
			if !strings.Contains(act, output) {
				t.Errorf("scene %d does not say %q:\n%s", i, output, act)
			}
		}
	}
	for _, excerpt := range excerpts(t) {
		if !strings.Contains(string(out), excerpt) {
			t.Errorf("the README quotes:\n%s\nbut the demo prints:\n%s", excerpt, out)
		}
	}
	for line := range strings.Lines(string(out)) {
		if len(line) > 81 || strings.Contains(line, "\x1b") {
			t.Errorf("more than 80 columns, or coloured though not on a terminal: %q", line)
		}
	}
}

func table(when string, labels []string, cells string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-14s%s\n", when, row("198.51.100.2", "2001:db8:a::2", "192.0.2.2", "2001:db8:b::2"))
	fmt.Fprintf(&b, "  %-14s%s\n", "came in by", row("eth0", "eth0", "eth1", "eth1"))
	for _, l := range labels {
		fmt.Fprintf(&b, "  %-14s%s\n", l, cells)
	}
	return b.String()
}

// excerpts returns the parts of the demo's output that the README quotes.
func excerpts(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, quoted, _ := strings.Cut(string(text), "<!-- demo -->\n")
	quoted, _, _ = strings.Cut(quoted, "<!-- /demo -->")
	for i, part := range strings.Split(quoted, "```\n") {
		if i%2 == 1 {
			all = append(all, part)
		}
	}
	if len(all) != 2 {
		t.Fatalf("the README quotes %d parts of the demo's output", len(all))
	}
	return all
}

func TestDemoFailsWhenTheProgramChangesNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(programs.demo, "-replypath", "/bin/true")
	out, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != 1 {
		t.Errorf("exit status %d", status)
	}
	if !bytes.Contains(out, []byte("replypath plan: exit status 0, expected 3")) {
		t.Errorf("does not say what is wrong:\n%s", out)
	}
}
