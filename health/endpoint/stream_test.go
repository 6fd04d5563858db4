package endpoint

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"replypath/health"
)

// follower follows the status.
type follower struct {
	body io.ReadCloser
	scan *bufio.Scanner
}

// follow gives nil when there is no seat.
func (s *site) follow(t *testing.T) *follower {
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
	f := &follower{answer.Body, bufio.NewScanner(answer.Body)}
	f.scan.Buffer(nil, 1<<20)
	return f
}

// next is what comes next.
func (f *follower) next(t *testing.T) (name string, s health.Status) {
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
	s := open(t)
	s.write(func(h *health.Status) { h.Uplinks[0].Families[0].History = make([]health.Slot, 60) })
	f := s.follow(t)
	name, got := f.next(t)
	if name != "status" || len(got.Uplinks) != 4 || len(got.Uplinks[0].Families[0].History) != 60 || len(got.Events) != 0 {
		t.Fatalf("first came %s with %+v", name, got)
	}
	s.write(func(h *health.Status) { h.Rounds = 77 })
	if name, got = f.next(t); name != "pulse" || got.Rounds != 77 || len(got.Uplinks[0].Families[0].History) != 0 {
		t.Errorf("a second later came %s with %+v", name, got)
	}
	s.Add(health.Event{Kind: "state", Text: "a\nb"})
	for name != "status" {
		name, got = f.next(t)
	}
	if len(got.Events) != 1 || got.Events[0].Text != "a\nb" || len(got.Uplinks[0].Families[0].History) != 60 {
		t.Errorf("after the event came %+v", got)
	}
	if len(s.desk.status.Uplinks[0].Families[0].History) != 60 {
		t.Error("the source's own history is gone")
	}
}

func TestOneClientCannotTakeAllSeats(t *testing.T) {
	s := open(t)
	var all []*follower
	for range streamsEach {
		f := s.follow(t)
		f.next(t)
		all = append(all, f)
	}
	if s.follow(t) != nil {
		t.Error("there is a seat more")
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("beside the streams: %d", code)
	}
	all[3].body.Close()
	until(t, "its seat is free again", func() bool { return s.follow(t) != nil })
}

func TestSeatsHaveAnEnd(t *testing.T) {
	s := newStage(newDesk())
	for i := range streams {
		if !s.sit(string(rune('a' + i))) {
			t.Fatalf("%d do not fit", i+1)
		}
	}
	if s.sit("another") {
		t.Error("there is a seat more")
	}
	s.rise("a")
	if !s.sit("another") || len(s.seats) != streams {
		t.Errorf("the seat was not given back: %v", s.seats)
	}
}

func TestStreamEndsWithTheEndpoint(t *testing.T) {
	s := open(t)
	f := s.follow(t)
	f.next(t)
	s.Set(health.Endpoint{})
	for f.scan.Scan() { // ends
	}
}
