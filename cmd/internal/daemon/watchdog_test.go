package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/uplinks"
)

// serviceManager receives the notifications of sd_notify(3).
type serviceManager struct{ conn *net.UnixConn }

func newServiceManager(t *testing.T) serviceManager {
	t.Helper()
	dir, err := os.MkdirTemp("", "manager") // t.TempDir is too long for a socket's path (unix(7))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return serviceManager{conn}
}

// message returns the next notification, empty when none comes in time.
func (m serviceManager) message(t *testing.T, within time.Duration) string {
	t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, err := m.conn.Read(buffer)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

// blockingKernel blocks an observation while the test receives from blocked, until release is closed.
type blockingKernel struct{ blocked, release chan struct{} }

func (k blockingKernel) Observe(context.Context, ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	select {
	case k.blocked <- struct{}{}:
		<-k.release
	default:
	}
	return uplinks.Facts{}, uplinks.NewState(), nil
}

func (blockingKernel) Apply(context.Context, uplinks.Step) error { return nil }

func TestWatchdogIsFedByRoundsOnly(t *testing.T) {
	m := newServiceManager(t)
	const interval = 150 * time.Millisecond
	t.Setenv("WATCHDOG_USEC", "150000")
	t.Setenv("WATCHDOG_PID", "")
	k := blockingKernel{make(chan struct{}), make(chan struct{})}
	s := newTestService(t, &fakeHost{Kernel: k}, uplinks.DefaultSettings())
	if s.loop.resync*2 > interval {
		t.Errorf("a round every %s does not feed a watchdog of %s twice", s.loop.resync, interval)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.loop.Run(ctx) }()
	for range 5 {
		if got := m.message(t, 10*time.Second); !strings.Contains(got, "WATCHDOG=1") || !strings.Contains(got, "READY=1") {
			t.Errorf("notified %q", got)
		}
	}
	<-k.blocked
	for m.message(t, time.Millisecond) != "" { // of earlier rounds
	}
	if got := m.message(t, 3*interval); got != "" {
		t.Errorf("a blocked loop notifies %q", got)
	}
	close(k.release)
	if got := m.message(t, 10*time.Second); !strings.Contains(got, "WATCHDOG=1") {
		t.Errorf("notified %q", got)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
