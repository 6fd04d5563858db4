package endpoint

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"replypath/health"
	"replypath/health/healthtest"
)

// streamReader reads server-sent events.
type streamReader struct {
	body io.ReadCloser
	scan *bufio.Scanner
}

// subscribe opens a stream; nil: the server refused it.
func (s *testServer) subscribe(t *testing.T) *streamReader {
	t.Helper()
	answer, err := (&http.Client{Transport: &http.Transport{}}).Get(s.base + "/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != 200 {
		if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%d %v", answer.StatusCode, answer.Header)
		}
		return nil
	}
	f := &streamReader{answer.Body, bufio.NewScanner(answer.Body)}
	f.scan.Buffer(nil, 1<<20)
	return f
}

// next returns the next event.
func (f *streamReader) next(t *testing.T) (name string, s health.Status) {
	t.Helper()
	for f.scan.Scan() {
		if v, ok := strings.CutPrefix(f.scan.Text(), "event: "); ok {
			name = v
		}
		if v, ok := strings.CutPrefix(f.scan.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(v), &s); err != nil {
				t.Fatal(err)
			}
			return name, s
		}
	}
	t.Fatalf("the stream ended: %v", f.scan.Err())
	return "", s
}

func TestStreamFollowsTheStatus(t *testing.T) {
	s := openServer(t)
	s.update(func(h *health.Status) { h.Uplinks[0].Families[0].History = make([]health.MinuteStats, 60) })
	f := s.subscribe(t)
	name, got := f.next(t)
	if name != "status" || len(got.Uplinks) != 4 || len(got.Uplinks[0].Families[0].History) != 60 || len(got.Events) != 0 {
		t.Fatalf("first event: %s %+v", name, got)
	}
	s.update(func(h *health.Status) { h.Rounds = 77 })
	if name, got = f.next(t); name != "pulse" || got.Rounds != 77 || len(got.Uplinks[0].Families[0].History) != 0 {
		t.Errorf("second event: %s %+v", name, got)
	}
	s.Add(health.Event{Kind: "state", Text: "a\nb"})
	for name != "status" {
		name, got = f.next(t)
	}
	if len(got.Events) != 1 || got.Events[0].Text != "a\nb" || len(got.Uplinks[0].Families[0].History) != 60 {
		t.Errorf("after a health event: %+v", got)
	}
	if len(s.fakeSource.status.Uplinks[0].Families[0].History) != 60 {
		t.Error("the stream changed the history of the source")
	}
}

func TestStreamsPerClientAreLimited(t *testing.T) {
	s := openServer(t)
	var all []*streamReader
	for range maxStreamsPerClient {
		f := s.subscribe(t)
		f.next(t)
		all = append(all, f)
	}
	if s.subscribe(t) != nil {
		t.Error("a stream beyond the limit was accepted")
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("with all streams open: %d", code)
	}
	all[3].body.Close()
	healthtest.WaitFor(t, "a stream is accepted again", func() bool { return s.subscribe(t) != nil })
}

func TestStreamsAreLimited(t *testing.T) {
	s := newEventStream(newFakeSource(), time.Second, nil, maxConns)
	for i := range maxStreams {
		if !s.acquire(string(rune('a' + i))) {
			t.Fatalf("stream %d was refused", i+1)
		}
	}
	if s.acquire("another") {
		t.Error("a stream beyond the limit was accepted")
	}
	s.release("a")
	if !s.acquire("another") || len(s.clients) != maxStreams {
		t.Errorf("after a release: %v", s.clients)
	}
}

// A user has all addresses in 127.0.0.0/8, and every host all of its IPv6 network.
func TestStreamsAreCountedByUserOrNetwork(t *testing.T) {
	owner := func(local, remote netip.AddrPort) (uint32, bool, error) {
		if remote.String() != "127.0.0.1:9717" {
			t.Errorf("the server is %s", remote)
		}
		return uint32(local.Port()) / 1000, local.Addr().IsLoopback(), nil
	}
	failing := func(netip.AddrPort, netip.AddrPort) (uint32, bool, error) {
		return 0, false, errors.New("no sock_diag")
	}
	for _, c := range []struct {
		remote string
		owner  SocketOwner
		want   string
	}{
		{"127.0.0.1:2001", owner, "user 2"}, {"127.9.9.9:2999", owner, "user 2"}, {"[::1]:3000", owner, "user 3"}, {"[::ffff:127.0.0.3]:3001", owner, "user 3"},
		{"127.0.0.1:2001", failing, "loopback"}, {"127.9.9.9:2001", nil, "loopback"}, {"[::1]:2001", nil, "loopback"},
		{"192.0.2.7:2001", owner, "192.0.2.7"}, {"[::ffff:192.0.2.7]:2001", owner, "192.0.2.7"},
		{"[2001:db8::1:2:3:4]:2001", owner, "2001:db8::/64"}, {"[fe80::1%eth0]:2001", owner, "fe80::/64"},
	} {
		ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:9717")))
		r := (&http.Request{RemoteAddr: c.remote}).WithContext(ctx)
		if got := clientKey(r, c.owner); got != c.want {
			t.Errorf("%s: %q, want %q", c.remote, got, c.want)
		}
	}
}

// One user connects from many loopback addresses; another still gets a stream.
func TestOneUserCannotTakeAllStreams(t *testing.T) {
	user := atomic.Uint32{}
	s := startServerWithOwner(t, health.EndpointSettings{Listen: anyPort}, defaultTimeouts, func(netip.AddrPort, netip.AddrPort) (uint32, bool, error) { return user.Load(), true, nil })
	s.awaitListening(t)
	accepted := 0
	for i := range maxStreams {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}
		client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
		answer, err := client.Get(s.base + "/events")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		if answer.StatusCode == 200 {
			accepted++
		}
	}
	if accepted != maxStreamsPerClient {
		t.Errorf("one user has %d streams", accepted)
	}
	user.Store(1000)
	if s.subscribe(t) == nil {
		t.Error("another user gets no stream")
	}
}

func TestFewDescriptorsAllowFewConnections(t *testing.T) {
	for descriptors, want := range map[uint64]int{0: 4, 40: 4, 72: 4, 74: 5, 100: 18, 256: 96, 320: 128, 1024: 128, 1 << 63: 128} {
		if got := connLimit(descriptors); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", descriptors, got, want)
		}
	}
	s := newEventStream(newFakeSource(), time.Second, nil, minConns)
	if !s.acquire("a") || s.acquire("b") {
		t.Error("streams take more than a quarter of few connections")
	}
}

func TestStreamEndsWithTheServer(t *testing.T) {
	s := openServer(t)
	f := s.subscribe(t)
	f.next(t)
	s.Set(health.EndpointSettings{})
	for f.scan.Scan() { // until the stream ends
	}
}
