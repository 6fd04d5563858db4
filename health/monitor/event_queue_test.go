package monitor

import (
	"fmt"
	"slices"
	"testing"

	"replypath/health"
)

func TestEventsThatAHandlerCausesAreDeliveredAfterIt(t *testing.T) {
	var q eventQueue
	var log []string
	q.add([]health.Event{{Text: "1"}, {Text: "2"}})
	q.deliver(func(e health.Event) {
		log = append(log, "begin "+e.Text)
		if e.Text == "1" {
			q.add([]health.Event{{Text: "3"}})
			q.deliver(func(health.Event) { t.Error("a second delivery runs within the first") })
		}
		log = append(log, "end "+e.Text)
	})
	if want := []string{"begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"}; !slices.Equal(log, want) {
		t.Errorf("%q, want %q", log, want)
	}
}

func TestConcurrentEventsAreDeliveredInOrder(t *testing.T) {
	const goroutines, each = 8, 200
	var q eventQueue
	last := map[string]int{}
	delivered := 0
	done := make(chan struct{})
	handle := func(e health.Event) { // not synchronized: deliveries must not overlap
		var n int
		if _, err := fmt.Sscan(e.Text, &n); err != nil || n != last[e.Kind]+1 {
			t.Errorf("event %q of %s after %d", e.Text, e.Kind, last[e.Kind])
		}
		last[e.Kind] = n
		if delivered++; delivered == goroutines*each {
			close(done)
		}
	}
	for g := range goroutines {
		go func() {
			for n := range each {
				q.add([]health.Event{{Kind: fmt.Sprint(g), Text: fmt.Sprint(n + 1)}})
				q.deliver(handle)
			}
		}()
	}
	<-done
}
