package test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/world"

	"golang.org/x/sys/unix"
)

const restartConnections = 1000 // over two uplinks and both families

// copyProgram puts the program where it can be replaced, and lets the box run it from there.
func (b *box) copyProgram(name string) string {
	b.t.Helper()
	from, err := os.Open(binary)
	if err != nil {
		b.t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(b.dir, name)
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if closed := to.Close(); err != nil || closed != nil {
		b.t.Fatal(err, closed)
	}
	return path
}

func TestConnectionsSurviveStopRestartCrashAndUpgrade(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	serveAll(b.Gateway)
	installed := b.copyProgram("replypath")
	b.program = installed
	s := b.start()
	held := map[netip.Addr]*world.Connections{}
	var strays []*world.Recorder
	for _, u := range b.Uplinks {
		strays = append(strays, u.Refused.Record(stray))
		for _, to := range u.Addrs() {
			var err error
			if held[to], err = b.Client.Connect(newRequest(world.KindTCP, to), restartConnections/4); err != nil {
				t.Fatal(err)
			}
		}
	}
	live := func(after string) {
		t.Helper()
		for to, c := range held {
			if n := c.Alive(10 * time.Second); n != restartConnections/4 {
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
	s.stop()
	live("stop")
	s = b.start()
	live("restart")
	s.kill()
	live("crash")
	s = b.start()
	live("start after the crash")
	if err := os.Rename(b.copyProgram("replypath.new"), installed); err != nil {
		t.Fatal(err)
	}
	live("upgrade")
	s.stop()
	s = b.start()
	live("start after the upgrade")
	if log := s.log.String(); strings.Contains(log, "msg=changed") {
		t.Errorf("the new program changed what was right:\n%s", log)
	}
}

func TestOneServiceForEachNetworkNamespace(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	s := b.start()
	elsewhere := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	other := elsewhere.start()
	for _, state := range []string{filepath.Join(b.dir, "state"), filepath.Join(b.dir, "another")} {
		cmd := b.Gateway.Command(t.Context(), binary, "run", "--config", b.config, "--state", state)
		if r := b.runCommand(cmd); r.status != 1 || !strings.Contains(r.stderr, "another replypath has this network namespace") {
			t.Errorf("a second service with --state %s: %s", state, r)
		}
	}
	shared := elsewhere.Gateway.Command(t.Context(), binary, "run", "--config", elsewhere.config, "--state", filepath.Join(b.dir, "state"))
	other.stop()
	if r := elsewhere.runCommand(shared); r.status != 1 || !strings.Contains(r.stderr, "--state") {
		t.Errorf("a service of another namespace in the same folder: %s", r)
	}
	b.must(0, "plan")
	elsewhere.must(0, "plan")
	s.kill()
	b.start().stop()
}

// A service whose folder has been removed, or that has another, would put back what is done beside it.
func TestUnresponsiveServiceIsNotTakenForAbsent(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	s := b.start()
	if err := os.RemoveAll(filepath.Join(b.dir, "state")); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"status", "reload", "apply", "confirm", "flush"} {
		r := b.must(1, command)
		if command != "flush" && !strings.Contains(r.stderr, "does not answer") || strings.Contains(r.stderr, "does not run") {
			t.Errorf("%s: %s", command, r)
		}
	}
	b.must(0, "plan")
	s.stop()
	b.must(0, "apply")
	b.must(0, "flush")
}

// holdServiceName has the service's name taken by an ordinary user until the test ends.
func (b *box) holdServiceName(listens bool) {
	b.t.Helper()
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
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { unix.Close(fd) })
}

// TestUnprivilegedUserCannotBlockTheService has an ordinary user take the name that a service claims, in each way in which a
// name can be held.
func TestUnprivilegedUserCannotBlockTheService(t *testing.T) {
	for _, listens := range []bool{false, true} {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
		b.holdServiceName(listens)
		b.start().stop()
	}
}

// A second service with another folder is refused, also while an ordinary user holds the name, from another mount namespace
// with a /run of its own, and where neither can write there.
func TestTwoServicesNeverShareANetworkNamespace(t *testing.T) {
	const ownFolder = "mkdir -p /run/replypath; mount -t tmpfs none /run/replypath"
	const sealed = ownFolder + "; mount -o remount,ro /run/replypath"
	second := func(b *box, script, state string) result {
		args := []string{"-m", "sh", "-ec", script + "\n" + `exec "$@"`, "sh", binary, "run", "--config", b.config, "--state", filepath.Join(b.dir, state)}
		ctx, end := context.WithTimeout(t.Context(), 20*time.Second) // for one that is not refused
		defer end()
		return b.runCommand(b.Gateway.Command(ctx, "unshare", args...))
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
			b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
			if c.nobody {
				b.holdServiceName(true)
			}
			s := b.start()
			for _, state := range []string{"state", "another"} {
				if r := second(b, c.script, state); r.status != 1 || !strings.Contains(r.stderr, "another replypath has this network namespace") {
					t.Errorf("--state %s: %s", state, r)
				}
			}
			b.must(0, "plan")
			s.kill()
			b.start().stop()
		})
	}
}

// What services lock is for root alone to open, so nobody else can hold it.
func TestUnprivilegedUserCannotLockANamespace(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.start()
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
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.start()
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
