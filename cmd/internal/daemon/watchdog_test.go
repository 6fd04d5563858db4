package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// manager is a service manager that hears what it is told.
type manager struct{ conn *net.UnixConn }

func manage(t *testing.T) manager {
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
	return manager{conn}
}

// told is the next message, and nothing when none comes in time.
func (m manager) told(t *testing.T, within time.Duration) string {
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

// kernel can be stopped.
type kernel struct{ stuck, freed chan struct{} }

func (k kernel) Observe(context.Context, ...uplinks.Share) (uplinks.Facts, uplinks.State, error) {
	select {
	case k.stuck <- struct{}{}:
		<-k.freed
	default:
	}
	return uplinks.Facts{}, uplinks.NewState(), nil
}

func (kernel) Apply(context.Context, uplinks.Step) error { return nil }

func TestTheWatchdogIsFedByTheWorkOnly(t *testing.T) {
	m := manage(t)
	const interval = 150 * time.Millisecond
	t.Setenv("WATCHDOG_USEC", "150000")
	t.Setenv("WATCHDOG_PID", "")
	k := kernel{make(chan struct{}), make(chan struct{})}
	s := &Service{Log: slog.New(slog.DiscardHandler), keeper: NewKeeper(k, slog.New(slog.DiscardHandler), uplinks.DefaultSettings())}
	s.fingerprint = func() (uint64, error) { return 0, nil }
	s.care = newCare(health.NewMonitor(nil), s.Log)
	s.loop = NewLoop(s.round)
	s.loop.Refresh = min(s.loop.Refresh, feeding())
	if s.loop.Refresh*2 > interval {
		t.Errorf("a round every %s does not feed a watchdog of %s twice", s.loop.Refresh, interval)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.loop.Run(ctx) }()
	for range 5 {
		if said := m.told(t, 10*time.Second); !strings.Contains(said, "WATCHDOG=1") || !strings.Contains(said, "READY=1") {
			t.Errorf("told %q", said)
		}
	}
	<-k.stuck
	for m.told(t, time.Millisecond) != "" { // from before
	}
	if said := m.told(t, 3*interval); said != "" {
		t.Errorf("a stuck loop says %q", said)
	}
	close(k.freed)
	if said := m.told(t, 10*time.Second); !strings.Contains(said, "WATCHDOG=1") {
		t.Errorf("told %q", said)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
