package endpoint

import (
	"bytes"
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
	"replypath/uplinks"
)

// desk is a Source whose status a test writes.
type desk struct {
	health.Journal
	mu     sync.Mutex
	status health.Status
}

func (d *desk) Status() health.Status {
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

func (d *desk) write(change func(*health.Status)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.status)
}

// newDesk has an uplink in each state, named for it.
func newDesk() *desk {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	s := health.Status{Version: health.StatusVersion, At: at, Started: at.Add(-time.Hour), Build: "v1.2.3", Healthy: true, Ready: true}
	s.Sync = health.Sync{InSync: true, Since: at, Last: at, Changes: 12, Rounds: 3, Repairs: map[string]int{uplinks.KindRule: 2}}
	for i, state := range []health.State{health.Up, health.Unproven, health.Down, health.Absent} {
		u := health.UplinkStatus{Name: string(state), ID: i + 1, Interface: "eth" + string(rune('0'+i)), State: state}
		for _, f := range uplinks.Families {
			u.Families = append(u.Families, health.Standing{Family: f, State: state, Since: at, Probes: []health.Answers{
				{Name: "dns", Target: "icmp://192.0.2.53", Up: true, Sent: 100, Lost: 7, RTT: .011, Mean: .012, Percent: 7},
			}})
		}
		s.Uplinks = append(s.Uplinks, u)
	}
	return &desk{status: s}
}

// site is an endpoint that answers.
type site struct {
	*Server
	*desk
	log   *pad
	base  string                // of its URLs, in plain HTTP
	at    chan net.Addr         // of each listener
	crowd atomic.Pointer[crowd] // of the newest
}

// pad is a log that can be read while it is written.
type pad struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *pad) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *pad) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// start runs an endpoint until the test ends.
func start(t *testing.T, o health.Endpoint) *site {
	t.Helper()
	s := &site{desk: newDesk(), log: &pad{}, at: make(chan net.Addr, 10)}
	s.Server = New(slog.New(slog.NewTextHandler(s.log, nil)), o, s.desk)
	s.retry = 20 * time.Millisecond
	s.serving = func(c *crowd) {
		s.crowd.Store(c)
		s.at <- c.Addr()
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	return s
}

// open is an endpoint that anybody here may ask.
func open(t *testing.T) *site {
	t.Helper()
	s := start(t, health.Endpoint{Listen: anyPort})
	s.await(t)
	return s
}

// await waits until it listens.
func (s *site) await(t *testing.T) string {
	t.Helper()
	select {
	case a := <-s.at:
		s.base = "http://" + a.String()
		return a.String()
	case <-time.After(time.Minute):
		t.Fatalf("nobody listens; the log:\n%s", s.log)
	}
	return ""
}

// ask gives the code and the body of an answer.
func (s *site) ask(t *testing.T, method, path string, header ...string) (int, string, http.Header) {
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
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body), answer.Header
}

func (s *site) get(t *testing.T, path string) (int, string) {
	t.Helper()
	code, body, _ := s.ask(t, "GET", path)
	return code, body
}

// until waits for something to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func holds(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in:\n%s", part, text)
		}
	}
}
