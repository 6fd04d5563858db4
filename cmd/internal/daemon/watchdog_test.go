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

// serviceManager is a service manager that hears what it is told.
type serviceManager struct{ conn *net.UnixConn }

func newServiceManager(t *testing.T) serviceManager {
	t.Helper()
	dir, err := os.MkdirTemp("", "manager") // a socket's path must be short
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

// message is the next message, and nothing when none comes in time.
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

// blockingKernel can be stopped.
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
		if said := m.message(t, 10*time.Second); !strings.Contains(said, "WATCHDOG=1") || !strings.Contains(said, "READY=1") {
			t.Errorf("told %q", said)
		}
	}
	<-k.blocked
	for m.message(t, time.Millisecond) != "" { // from before
	}
	if said := m.message(t, 3*interval); said != "" {
		t.Errorf("a stuck loop says %q", said)
	}
	close(k.release)
	if said := m.message(t, 10*time.Second); !strings.Contains(said, "WATCHDOG=1") {
		t.Errorf("told %q", said)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
