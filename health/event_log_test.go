package health

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestEventLogKeepsTheNewestEvents(t *testing.T) {
	var j EventLog
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if e := j.Add(Event{Kind: "state", At: at}); e.ID != 1 || e.Version != EventVersion || !e.At.Equal(at) {
		t.Errorf("the first event became %+v", e)
	}
	for i := range EventLogSize + 50 {
		j.Add(Event{Text: fmt.Sprint(i)})
	}
	events := j.Events()
	if len(events) != EventLogSize {
		t.Fatalf("%d events are kept", len(events))
	}
	for i, e := range events {
		if want := uint64(52 + i); e.ID != want || e.At.IsZero() {
			t.Fatalf("place %d holds %+v, not number %d", i, e, want)
		}
	}
	events[0].Text = "changed"
	if j.Events()[0].Text == "changed" {
		t.Error("who was given the events can change what is kept")
	}
}

func TestSlowSubscriberLosesTheOldestEventsAndBlocksNoOther(t *testing.T) {
	var j EventLog
	slow, quick := j.Subscribe(3), j.Subscribe(100)
	for range 10 {
		j.Add(Event{})
	}
	slow.Close()
	slow.Close()
	j.Add(Event{})
	if got := drain(slow); fmt.Sprint(got) != "[8 9 10]" || slow.Dropped() != 7 {
		t.Errorf("the slow one got %v and lost %d", got, slow.Dropped())
	}
	if got := drain(quick); len(got) != 11 || quick.Dropped() != 0 {
		t.Errorf("the quick one got %v and lost %d", got, quick.Dropped())
	}
}

func drain(s *Subscription) (ids []uint64) {
	for {
		select {
		case e := <-s.C:
			ids = append(ids, e.ID)
		default:
			return ids
		}
	}
}

func TestEventLogIsSafeForConcurrentUse(t *testing.T) {
	var j EventLog
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				s := j.Subscribe(1)
				id := j.Add(Event{}).ID
				if e := <-s.C; e.ID < id {
					t.Errorf("number %d came after number %d was added", e.ID, id)
				}
				s.Close()
			}
		})
	}
	group.Wait()
	if events := j.Events(); events[len(events)-1].ID != 800 {
		t.Errorf("the last of 800 events is number %d", events[len(events)-1].ID)
	}
}
