package icmp

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// hold is a sender whose library says without end that it has sent, what it has been given to send, and what is closed
// when it has left.
func hold(t *testing.T) (s *sender, put map[stamp]bool, left chan struct{}) {
	t.Helper()
	s, put, left = newSender(health.Path{Key: health.Key{Family: uplinks.IPv4}}), map[stamp]bool{}, make(chan struct{})
	s.leave = func() { close(left) }
	go func() {
		for {
			s.hold(t.Context())
			put[s.put.stamp] = true
		}
	}()
	return s, put, left
}

var target = netip.MustParseAddr("192.0.2.1")

func TestASenderThatNobodyNeedsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, left := hold(t)
		time.Sleep(patience - time.Second)
		s.next <- newQuestion(1, target)
		last := time.Now()
		<-left
		if after := time.Since(last); after != patience {
			t.Errorf("it ended %s after its last question, not %s", after, patience)
		}
	})
}

func TestASenderEndsBeforeTheLibraryRemembersTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, put, left := hold(t)
		for range most {
			s.next <- newQuestion(1, target)
		}
		last := time.Now()
		<-left
		if len(put) != most || time.Since(last) > 0 {
			t.Errorf("%d questions are told apart by %d stamps; it ended %s after the last", most, len(put), time.Since(last))
		}
	})
}
