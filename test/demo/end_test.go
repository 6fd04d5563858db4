package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDemoLeavesNothingWhenInterrupted(t *testing.T) {
	for _, end := range []struct {
		name   string
		signal syscall.Signal
		status int // -1: killed
	}{
		{"on Ctrl-C", syscall.SIGINT, 130},
		{"when it is killed", syscall.SIGKILL, -1},
	} {
		t.Run(end.name, func(t *testing.T) {
			found := leftovers(t)
			demo, lines := start(t)
			marker := demo.Env[len(demo.Env)-1]
			await(t, lines, "asking 16 questions")
			if len(processes(t, marker)) < 3 { // outside, the namespaces' first one, and the demo itself
				t.Errorf("only %v: the test does not see the demo's processes", processes(t, marker))
			}
			if err := demo.Process.Signal(end.signal); err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, lines)
			if err := demo.Wait(); err == nil {
				t.Error("it ended as if it had shown everything")
			}
			if got := demo.ProcessState.ExitCode(); got != end.status {
				t.Errorf("exit status %d, expected %d", got, end.status)
			}
			for deadline := time.Now().Add(time.Minute); len(processes(t, marker)) > 0; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("processes left: %v", processes(t, marker))
				}
			}
			if now := leftovers(t); now != found {
				t.Errorf("left behind:\n%s\nbefore:\n%s", now, found)
			}
		})
	}
}

// start starts the demo with a mark in its environment, by which its processes are known.
func start(t *testing.T) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(programs.demo, "-replypath", programs.replypath)
	cmd.Env = append(os.Environ(), "REPLYPATH_DEMO_TEST="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

func await(t *testing.T, lines *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("never said %q: %v", text, err)
		}
	}
}
