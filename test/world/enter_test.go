package world_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// child returns this test binary as a program that has not entered a world.
func child(t *testing.T, behaviour string) (*exec.Cmd, *os.File) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), "REPLYPATH_WORLD=", childVariable+"="+behaviour)
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	t.Cleanup(func() { out.Close() })
	out.SetReadDeadline(time.Now().Add(2 * time.Minute))
	return cmd, out
}

// traces returns what a program could leave behind in our namespaces, which are the host's to the child.
func traces(t *testing.T) string {
	t.Helper()
	links, err := exec.Command("ip", "-br", "link").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("/run/*/*")
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return string(links) + strings.Join(names, "\n") + string(mounts)
}

func TestEnterReturnsTheExitStatus(t *testing.T) {
	for _, want := range []string{"0", "7"} {
		cmd, out := child(t, want)
		output, _ := io.ReadAll(out)
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); string(rune('0'+got)) != want {
			t.Errorf("status %d, want %s: %s", got, want, output)
		}
	}
}

func TestEnterLeavesNothingBehind(t *testing.T) {
	for _, c := range []struct {
		name, behaviour string
		signal          syscall.Signal
		status          int
		want            string
	}{
		{"killed", "die", syscall.SIGKILL, -1, ""},
		{"interrupted", "die", syscall.SIGINT, 130, ""},
		{"signal reaches the program", "catch", syscall.SIGTERM, 3, "caught terminated\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := traces(t)
			cmd, out := child(t, c.behaviour)
			r := bufio.NewReader(out)
			if line, err := r.ReadString('\n'); line != "ready\n" {
				t.Fatal(line, err)
			}
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			// The output ends when the last process that holds it has ended.
			rest, err := io.ReadAll(r)
			if err != nil {
				t.Errorf("a process lives on: %v", err)
			}
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != c.status || !strings.HasPrefix(string(rest), c.want) {
				t.Errorf("status %d, want %d; said %q", got, c.status, rest)
			}
			if after := traces(t); after != before {
				t.Errorf("left behind:\n%s\nwas:\n%s", after, before)
			}
		})
	}
}

// Tools write there: Shorewall its providers' tables, replypath its uplinks'.
func TestFilesInRunAndIproute2StayInTheNamespace(t *testing.T) {
	for _, folder := range []string{"/run", "/etc/iproute2"} {
		var is unix.Statfs_t
		if err := unix.Statfs(folder, &is); err != nil || is.Type != unix.TMPFS_MAGIC {
			t.Errorf("%s is that of the host: %#x, %v", folder, is.Type, err)
		}
	}
	if text, err := os.ReadFile("/etc/iproute2/rt_tables"); err != nil || !strings.Contains(string(text), "main") {
		t.Errorf("rt_tables inside: %q, %v", text, err)
	}
}
