package host

import (
	"testing"
	"time"

	"replypath/cmd/internal/statedir"
	"replypath/health"
	"replypath/uplinks"
)

// Two processes, each with the readings of one counter in turn: what one has reported, the other does not report again.
func TestStrayRepliesAreReportedOnceByWhicheverProcess(t *testing.T) {
	path := health.Path{Key: health.Key{Uplink: "dsl", Family: uplinks.IPv4}}
	dir := t.TempDir()
	process := func() *Host {
		state, err := statedir.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return &Host{state: state}
	}
	read := func(what string, h *Host, count uint64, remember time.Duration, want uint64) {
		t.Helper()
		h.counters.last = map[health.Key]uint64{path.Key: count}
		got, err := h.NewStrays([]health.Path{path}, remember)
		if err != nil || got[path.Key] != want {
			t.Errorf("%s: %d, want %d: %v", what, got[path.Key], want, err)
		}
	}
	read("the first verify", process(), 4, 0, 4)
	read("the next one", process(), 4, 0, 0)
	read("one after more", process(), 7, 0, 3)
	read("one after the counter was reset", process(), 2, 0, 2)
	service := process()
	read("the service, at start", service, 5, time.Minute, 0)
	read("a verify then", process(), 5, 0, 0)
	read("the service, later", service, 9, time.Minute, 4)
	read("a verify within the minute says what the service says", process(), 9, 0, 4)
	read("a verify after more", process(), 10, 0, 1)
}
