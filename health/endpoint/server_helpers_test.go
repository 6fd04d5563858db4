package endpoint

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"replypath/health"
	"replypath/health/healthtest"
	"replypath/uplinks"
)

// fakeSource is a Source whose status the test sets.
type fakeSource struct {
	health.EventLog
	mu     sync.Mutex
	status health.Status
}

func (d *fakeSource) Status() health.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.status
	s.Uplinks = slices.Clone(s.Uplinks)
	for i, u := range s.Uplinks {
		s.Uplinks[i].Families = slices.Clone(u.Families)
	}
	s.Events = d.Events()
	return s
}

func (d *fakeSource) update(change func(*health.Status)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.status)
}

// newFakeSource returns a source with one uplink in each state, named after it.
func newFakeSource() *fakeSource {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	s := health.Status{Version: health.StatusVersion, At: at, Started: at.Add(-time.Hour), Build: "v1.2.3", Healthy: true, Ready: true,
		Configuration: &health.ConfigurationStatus{File: "/etc/replypath/replypath.toml", State: health.FileChanged, InForce: health.Confirmed}}
	s.SyncStatus = health.SyncStatus{InSync: true, Since: at, LastRound: at, Changes: 12, Rounds: 3, Repairs: map[string]int{string(uplinks.KindRule): 2}}
	for i, state := range []health.State{health.Up, health.Unproven, health.Down, health.Absent} {
		u := health.UplinkStatus{Name: string(state), ID: i + 1, Interface: "eth" + string(rune('0'+i)), State: state}
		for _, f := range uplinks.Families {
			u.Families = append(u.Families, health.FamilyStatus{Family: f, State: state, Since: at, Probes: []health.ProbeStatus{
				{Name: "dns", Target: "icmp://192.0.2.53", Up: true, Sent: 100, Lost: 7, RTTSeconds: .011, MeanRTTSeconds: .012, LossPercent: 7},
			}})
		}
		s.Uplinks = append(s.Uplinks, u)
	}
	return &fakeSource{status: s}
}

// testServer is a Server on the loopback address.
type testServer struct {
	*Server
	*fakeSource
	log      *healthtest.LogBuffer
	base     string                        // of its URLs, in plain HTTP
	addrs    chan net.Addr                 // of each listener
	listener atomic.Pointer[limitListener] // of the newest
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// startServer runs a server until the test ends.
func startServer(t *testing.T, settings health.EndpointSettings) *testServer {
	t.Helper()
	return startServerWithTimeouts(t, settings, defaultTimeouts)
}

func startServerWithTimeouts(t *testing.T, settings health.EndpointSettings, limits timeouts) *testServer {
	t.Helper()
	return startServerWithOwner(t, settings, limits, nil)
}

func startServerWithOwner(t *testing.T, settings health.EndpointSettings, limits timeouts, owner SocketOwner) *testServer {
	t.Helper()
	s := &testServer{fakeSource: newFakeSource(), log: &healthtest.LogBuffer{}, addrs: make(chan net.Addr, 10)}
	s.Server = New(slog.New(slog.NewTextHandler(s.log, nil)), settings, s.fakeSource, owner)
	s.timeouts, s.retryInterval = limits, 20*time.Millisecond
	s.onListen = func(c *limitListener) {
		s.listener.Store(c)
		s.addrs <- c.Addr()
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s
}

// openServer runs a server without token and TLS, and waits until it listens.
func openServer(t *testing.T) *testServer {
	t.Helper()
	s := startServer(t, health.EndpointSettings{Listen: anyPort})
	s.awaitListening(t)
	return s
}

// openServerWithShortTimeouts opens a server with timeouts that a test can wait for.
func openServerWithShortTimeouts(t *testing.T) *testServer {
	t.Helper()
	s := startServerWithTimeouts(t, health.EndpointSettings{Listen: anyPort},
		timeouts{header: 500 * time.Millisecond, request: time.Second, response: time.Second, idle: time.Minute, shutdown: time.Second})
	s.awaitListening(t)
	return s
}

// awaitListening waits for the next listener, and returns its address.
func (s *testServer) awaitListening(t *testing.T) string {
	t.Helper()
	select {
	case a := <-s.addrs:
		s.base = "http://" + a.String()
		return a.String()
	case <-time.After(time.Minute):
		t.Fatalf("the server does not listen; the log:\n%s", s.log)
	}
	return ""
}

// request sends a request, with pairs of header names and values.
func (s *testServer) request(t *testing.T, method, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body), response.Header
}

func (s *testServer) get(t *testing.T, path string) (int, string) {
	t.Helper()
	code, body, _ := s.request(t, "GET", path)
	return code, body
}

func expectContains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}
