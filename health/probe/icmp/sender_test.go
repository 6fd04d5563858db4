package icmp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// startSender returns a sender whose requests count as sent at once, the stamps of these requests, and a channel that is
// closed when the sender has ended.
func startSender(t *testing.T) (s *sender, stamps map[stamp]bool, ended chan struct{}) {
	t.Helper()
	s, stamps, ended = newSender(health.Path{Key: health.Key{Family: uplinks.IPv4}}), map[stamp]bool{}, make(chan struct{})
	go func() {
		defer close(ended)
		for s.next(t.Context()) {
			s.prepare()
			stamps[s.stamp] = true
			s.finish(nil)
		}
	}()
	return s, stamps, ended
}

var target = netip.MustParseAddr("192.0.2.1")

func TestAnIdleSenderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, ended := startSender(t)
		time.Sleep(idleTimeout - time.Second)
		s.requests <- newRequest(1, target)
		last := time.Now()
		<-ended
		if after := time.Since(last); after != idleTimeout {
			t.Errorf("it ended %s after the last request, want %s", after, idleTimeout)
		}
	})
}

func TestASenderEndsAfterTheMaximumOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stamps, ended := startSender(t)
		for range maxRequests {
			s.requests <- newRequest(1, target)
		}
		last := time.Now()
		<-ended
		if len(stamps) != maxRequests || time.Since(last) > 0 {
			t.Errorf("%d requests have %d stamps; it ended %s after the last", maxRequests, len(stamps), time.Since(last))
		}
	})
}

func TestARequestThatIsProhibitedIsNotRepeatedForEver(t *testing.T) {
	s := newSender(health.Path{Key: health.Key{Family: uplinks.IPv4}})
	s.current = newRequest(1, target)
	s.count = 1
	s.prepare()
	log := attemptCounter{s: s}
	log.Infof("")
	if !s.dst.IP.Equal(target.AsSlice()) {
		t.Fatalf("the destination is %s after one attempt: SO_BROADCAST was not tried", s.dst)
	}
	log.Infof("")
	if s.dst.IP != nil {
		t.Errorf("the destination is still %s after %d attempts", s.dst, maxAttempts)
	}
}

func TestEachPingerHasItsOwnTracker(t *testing.T) {
	_, _, first := newPinger(health.Path{})
	_, _, second := newPinger(health.Path{})
	if first == second || bytes.Equal(first[:], make([]byte, trackerLen)) {
		t.Errorf("trackers %s and %s", first, second)
	}
}

// A source address of the other family makes the library fail before it opens a socket.
func TestARequestFailsWhenTheSocketCannotBeOpened(t *testing.T) {
	s := newSender(health.Path{Key: health.Key{Family: uplinks.IPv4}, Source: netip.MustParseAddr("2001:db8::1")})
	r := newRequest(1, target)
	go s.run(t.Context())
	s.requests <- r
	<-r.written
	var op *net.OpError
	if !errors.As(r.writeErr, &op) || op.Op != "listen" {
		t.Errorf("the request ended with %v", r.writeErr)
	}
}
