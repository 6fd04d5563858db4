package outbound

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// use prepares a run of a command by the uplink.
func (g *gateway) use(uplink int, command ...string) *world.Command {
	args := []string{"--config", g.Config, "--state", filepath.Join(g.Dir, "state"), "use", fmt.Sprint("isp", uplink), "--"}
	return g.Gateway.Command(g.T.Context(), g.Program, append(args, command...)...)
}

// client returns the command of a client of all servers, as a grandchild.
func (g *gateway) client(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var servers []string
	for _, to := range g.servers() {
		servers = append(servers, fmt.Sprintf("[%s]:%d", to, box.ServedPort))
	}
	return []string{"sh", "-c", askVariable + "='" + strings.Join(servers, ",") + "' " + self + "; exit $?"}
}

// wantUplink wants that a client used the uplink's addresses only.
func (g *gateway) wantUplink(t *testing.T, r box.Result, uplink int) {
	t.Helper()
	u := g.Uplinks[uplink]
	want := fmt.Sprintf("tcp %s\nudp %s\ntcp %s\nudp %s\n", u.Addr4, u.Addr4, u.Addr6, u.Addr6)
	if r.Status != exitAsked || r.Stdout != want {
		t.Errorf("use isp%d: want exit %d and\n%sgot %s", uplink, exitAsked, want, r)
	}
}

func TestUseLeavesByTheUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		g.Apply()
		for i := range g.Uplinks {
			g.wantUplink(t, g.RunCommand(g.use(i, g.client(t)...)), i)
		}
		inner := g.use(1, g.client(t)...)
		g.wantUplink(t, g.RunCommand(g.use(0, inner.Args...)), 1) // the inner one counts
		g.wantNoForeign(t)
	})
}

// groupOf returns the path of the control group of a process.
func groupOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, group, _ := strings.Cut(string(text), "0::/")
	return strings.TrimSuffix(group, "\n")
}

// groupExists reports whether there is a control group.
func groupExists(t *testing.T, group string) bool {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err == nil {
		err = unix.Mount("none", dir, "cgroup2", 0, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(dir, group))
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	return err == nil
}

// startUsed starts a command by the uplink, and waits until it runs. It returns the command and its control group.
func (g *gateway) startUsed(t *testing.T) (*world.Command, string) {
	t.Helper()
	cmd := g.use(1, "sh", "-c", "echo runs; exec cat")
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { input.Close() })
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := output.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	group := groupOf(t, cmd.Process.Pid)
	if !strings.Contains(group, "replypath-use-") {
		t.Fatalf("the command runs in %s", group)
	}
	return cmd, group
}

func TestUsePassesSignalsAndRemovesItsGroup(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0])
	g.Apply()
	cmd, group := g.startUsed(t)
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGUSR1 {
		t.Errorf("the command ended with %v", cmd.ProcessState)
	}
	box.Eventually(t, box.EventualTimeout, "the control group "+group+" is removed", func() bool { return !groupExists(t, group) })
}

func TestUseRemovesGroupsThatAreLeft(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0])
	g.Apply()
	cmd, group := g.startUsed(t)
	reaper := reaperOf(t, group)
	for _, pid := range []int{reaper, cmd.Process.Pid} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	if r := g.RunCommand(g.use(0, "true")); r.Status != 0 || r.Stderr != "" || groupExists(t, group) {
		t.Errorf("the next use: %sthe old group exists: %t", r, groupExists(t, group))
	}
}

// reaperOf returns the process that will remove the group.
func reaperOf(t *testing.T, group string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(file string) bool {
		text, _ := os.ReadFile(file)
		return string(text) == "replypath\x00reap\x00"+group+"\x00"
	})
	if i < 0 {
		t.Fatal("nothing will remove " + group)
	}
	pid, err := strconv.Atoi(filepath.Base(filepath.Dir(all[i])))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestUseSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0])
	want := func(r box.Result, status int, text string) {
		t.Helper()
		if r.Status != status || !strings.Contains(r.Stderr, text) || r.Stdout != "" {
			t.Errorf("want exit %d and %q, got %s", status, text, r)
		}
	}
	want(g.RunCommand(g.use(1, "true")), 1, "no connection leaves by isp1: IPv4 connections leave by ")
	g.Apply()
	want(g.RunCommand(g.use(7, "true")), 2, `there is no uplink "isp7": the configuration has isp0, isp1`)
	want(g.RunCommand(g.use(0, "no-such-command")), 127, "there is no command no-such-command")
	want(g.RunCommand(g.use(0, g.Config)), 126, "permission denied")
	want(g.RunCommand(g.use(0, "/")), 126, "is a directory")
	want(g.RunCommand(g.use(0)), 2, "use needs an uplink and a command")
	weak := append([]string{"--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"}, g.use(0, "true").Args...)
	want(g.RunCommand(g.Gateway.Command(t.Context(), "setpriv", weak...)), 1, "needs root, with CAP_SYS_ADMIN")
	g.Gateway.Run("ip", "-6", "rule", "del", "priority", "2003")
	if r := g.RunCommand(g.use(1, "true")); r.Status != 0 || !strings.Contains(r.Stderr, "warning: isp1: IPv6 connections leave by") {
		t.Errorf("an uplink whose rule of IPv6 is missing: %s", r)
	}
}
