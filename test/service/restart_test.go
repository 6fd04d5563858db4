package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

const restartConnections = 1000 // over two uplinks and both families

// copyProgram puts the program where it can be replaced, and lets the box run it from there.
func copyProgram(b *box.Box, name string) string {
	b.T.Helper()
	text, err := os.ReadFile(box.Binary)
	if err != nil {
		b.T.Fatal(err)
	}
	path := filepath.Join(b.Dir, name)
	world.WriteProgram(b.T, path, text, 0o755)
	return path
}

func TestConnectionsSurviveStopRestartCrashAndUpgrade(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	box.ServeAll(b.Gateway)
	installed := copyProgram(b, "replypath")
	b.Program = installed
	s := b.Start()
	held := map[netip.Addr]*world.Connections{}
	var strays []*world.Recorder
	for _, u := range b.Uplinks {
		strays = append(strays, u.Refused.Record(box.Stray))
		for _, to := range u.Addrs() {
			var err error
			if held[to], err = b.Client.Connect(box.NewRequest(world.KindTCP, to), restartConnections/4); err != nil {
				t.Fatal(err)
			}
		}
	}
	live := func(after string) {
		t.Helper()
		for to, c := range held {
			if n := c.Alive(box.EventualTimeout); n != restartConnections/4 {
				t.Errorf("%s: %d of %d connections to %s live", after, n, restartConnections/4, to)
			}
		}
		b.Settle()
		for i, r := range strays {
			if packets := r.Packets(); len(packets) != 0 {
				t.Errorf("%s: %d packets strayed by eth%d; the first: %s", after, len(packets), i, packets[0])
			}
		}
	}
	live("start")
	s.Stop()
	live("stop")
	s = b.Start()
	live("restart")
	s.Kill()
	live("crash")
	s = b.Start()
	live("start after the crash")
	if err := os.Rename(copyProgram(b, "replypath.new"), installed); err != nil {
		t.Fatal(err)
	}
	live("upgrade")
	s.Stop()
	s = b.Start()
	live("start after the upgrade")
	if log := s.Log.String(); strings.Contains(log, "msg=changed") {
		t.Errorf("the new program changed what was right:\n%s", log)
	}
}

func TestOneServiceForEachNetworkNamespace(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	s := b.Start()
	elsewhere := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	other := elsewhere.Start()
	for _, state := range []string{filepath.Join(b.Dir, "state"), filepath.Join(b.Dir, "another")} {
		cmd := b.Gateway.Command(t.Context(), box.Binary, "run", "--config", b.Config, "--state", state)
		if r := b.RunCommand(cmd); r.Status != 1 || !strings.Contains(r.Stderr, "another replypath has this network namespace") {
			t.Errorf("a second service with --state %s: %s", state, r)
		}
	}
	shared := elsewhere.Gateway.Command(t.Context(), box.Binary, "run", "--config", elsewhere.Config, "--state", filepath.Join(b.Dir, "state"))
	other.Stop()
	if r := elsewhere.RunCommand(shared); r.Status != 1 || !strings.Contains(r.Stderr, "--state") {
		t.Errorf("a service of another namespace in the same folder: %s", r)
	}
	b.Must(0, "plan")
	elsewhere.Must(0, "plan")
	s.Kill()
	b.Start().Stop()
}

// A program that a killed service was starting has a copy of the service's lock until it runs: the next service waits for that.
func TestServiceStartsWhileTheLockOfAKilledOneIsLeft(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	s := b.Start()
	left := copyOfLock(b, s.Cmd.Process.Pid)
	s.Kill()
	time.AfterFunc(300*time.Millisecond, func() { unix.Close(left) })
	b.Start().Stop()
}

// copyOfLock returns a copy of the open file by which the process has locked the network namespace.
func copyOfLock(b *box.Box, pid int) int {
	b.T.Helper()
	lock := fmt.Sprintf("/run/replypath/service-%d.lock", b.Gateway.NetnsCookie())
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	open, _ := os.ReadDir(folder)
	for _, f := range open {
		if file, _ := os.Readlink(filepath.Join(folder, f.Name())); file != lock {
			continue
		}
		number, _ := strconv.Atoi(f.Name())
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			b.T.Fatal(err)
		}
		defer unix.Close(process)
		left, err := unix.PidfdGetfd(process, number, 0)
		if err != nil {
			b.T.Fatal(err)
		}
		return left
	}
	b.T.Fatalf("the service has not opened %s", lock)
	return -1
}

// A service whose folder has been removed, or that has another, would put back what is done beside it.
func TestUnresponsiveServiceIsNotTakenForAbsent(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	s := b.Start()
	if err := os.RemoveAll(filepath.Join(b.Dir, "state")); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"status", "reload", "apply", "confirm", "flush"} {
		r := b.Must(1, command)
		if command != "flush" && !strings.Contains(r.Stderr, "does not answer") || strings.Contains(r.Stderr, "does not run") {
			t.Errorf("%s: %s", command, r)
		}
	}
	b.Must(0, "plan")
	s.Stop()
	b.Must(0, "apply")
	b.Must(0, "flush")
}

// holdServiceName makes an unprivileged user take the service's name until the test ends.
func holdServiceName(b *box.Box, listens bool) {
	b.T.Helper()
	const nobody = 65534
	fd := -1
	var err error
	b.Gateway.Do(func() {
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		err = errors.Join(unix.Fchown(fd, nobody, nobody), unix.Bind(fd, &unix.SockaddrUnix{Name: "@replypath"}))
		if err == nil && listens {
			err = unix.Listen(fd, 0)
		}
	})
	if err != nil {
		b.T.Fatal(err)
	}
	b.T.Cleanup(func() { unix.Close(fd) })
}

// An unprivileged user takes the name of the service's socket, in each way in which a name can be held.
func TestUnprivilegedUserCannotBlockTheService(t *testing.T) {
	t.Parallel()
	for _, listens := range []bool{false, true} {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
		holdServiceName(b, listens)
		b.Start().Stop()
	}
}

// A second service with another folder is refused, also while an ordinary user holds the name, from another mount namespace
// with a /run of its own, and where neither can write there.
func TestTwoServicesNeverShareANetworkNamespace(t *testing.T) {
	t.Parallel()
	const ownFolder = "mkdir -p /run/replypath; mount -t tmpfs none /run/replypath"
	const sealed = ownFolder + "; mount -o remount,ro /run/replypath"
	second := func(b *box.Box, script, state string) box.Result {
		args := []string{"-m", "sh", "-ec", script + "\n" + `exec "$@"`, "sh", box.Binary, "run", "--config", b.Config, "--state", filepath.Join(b.Dir, state)}
		ctx, end := context.WithTimeout(t.Context(), box.EventualTimeout) // for one that is not refused
		defer end()
		return b.RunCommand(b.Gateway.Command(ctx, "unshare", args...))
	}
	for name, c := range map[string]struct {
		nobody bool
		script string
	}{
		"a user has the name":         {true, ":"},
		"another mount namespace":     {false, ownFolder},
		"where nothing can be locked": {false, sealed},
	} {
		t.Run(name, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
			if c.nobody {
				holdServiceName(b, true)
			}
			s := b.Start()
			for _, state := range []string{"state", "another"} {
				if r := second(b, c.script, state); r.Status != 1 || !strings.Contains(r.Stderr, "another replypath has this network namespace") {
					t.Errorf("--state %s: %s", state, r)
				}
			}
			b.Must(0, "plan")
			s.Kill()
			b.Start().Stop()
		})
	}
}

// Only root can open the lock files of services, so no other user can hold them.
func TestUnprivilegedUserCannotLockANamespace(t *testing.T) {
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Start()
	locks, err := filepath.Glob("/run/replypath/service-*.lock")
	if err != nil || len(locks) == 0 {
		t.Fatalf("no locks: %v", err)
	}
	for path, mode := range map[string]os.FileMode{"/run/replypath": os.ModeDir | 0o700, locks[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	cmd := b.Gateway.Command(t.Context(), "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "flock", "-n", locks[0], "true")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "ermission denied") {
		t.Errorf("an ordinary user locks it: %v %s", err, out)
	}
}

func TestServiceNameAcceptsNoConnections(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Start()
	var err error
	b.Gateway.Do(func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: "@replypath"})
			unix.Close(fd)
		}
	})
	if err != unix.ECONNREFUSED {
		t.Errorf("connect to @replypath: %v", err)
	}
}
