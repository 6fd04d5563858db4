package endpoint

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
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
	s := newEventStream(newFakeSource(), time.Second)
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

func TestStreamEndsWithTheServer(t *testing.T) {
	s := openServer(t)
	f := s.subscribe(t)
	f.next(t)
	s.Set(health.EndpointSettings{})
	for f.scan.Scan() { // until the stream ends
	}
}
