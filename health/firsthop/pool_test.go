package firsthop

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"replypath/health"

	"golang.org/x/sys/unix"
)

// fakeEar answers as it is told, and notes what becomes of it.
type fakeEar struct {
	answer    error
	forgets   int
	unheard   error // what forget says
	closed    bool
	deadlines chan time.Time
}

func (e *fakeEar) Close() error                      { e.closed = true; return nil }
func (e *fakeEar) forget() error                     { e.forgets++; return e.unheard }
func (e *fakeEar) SetReadDeadline(t time.Time) error { e.deadlines <- t; return nil }

func (e *fakeEar) ask(health.Path) (time.Time, time.Duration, error) {
	if errors.Is(e.answer, os.ErrDeadlineExceeded) {
		<-e.deadlines
	}
	return time.Now(), 1, e.answer
}

// fakes is a pool that opens ears that answer so, and those that it has opened.
func fakes(answer *error) (*pool[*fakeEar], *[]*fakeEar) {
	var opened []*fakeEar
	p := newPool(func(health.Path) (*fakeEar, error) {
		e := &fakeEar{answer: *answer, deadlines: make(chan time.Time, 1)}
		opened = append(opened, e)
		return e, nil
	})
	return p, &opened
}

func TestASocketAsksAgainAndAgain(t *testing.T) {
	answer := error(nil)
	p, opened := fakes(&answer)
	at := health.Path{Link: "eth1", Index: 3}
	for range 3 {
		if _, _, err := p.ask(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if len(*opened) != 1 || (*opened)[0].forgets != 2 {
		t.Errorf("%d sockets; the first was emptied %d times before 2 more questions", len(*opened), (*opened)[0].forgets)
	}
	// Two questions at a time need two.
	first, _ := p.take(at)
	second, _ := p.take(at)
	if first == second || len(*opened) != 2 {
		t.Error("two questions share a socket")
	}
	p.put(at, first)
	p.put(at, second)
	p.close()
	for _, e := range *opened {
		if !e.closed {
			t.Error("a socket is left open")
		}
	}
}

func TestASocketOfAQuestionWithoutAnswerIsKept(t *testing.T) {
	answer := error(os.ErrDeadlineExceeded)
	p, opened := fakes(&answer)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := p.ask(ctx, health.Path{Link: "eth1", Index: 3}); !errors.Is(err, answer) {
			t.Fatal(err)
		}
	}
	if len(*opened) != 1 || (*opened)[0].closed {
		t.Errorf("%d sockets were opened", len(*opened))
	}
}

func TestASocketThatFailedIsClosed(t *testing.T) {
	answer := error(unix.ENETDOWN)
	p, opened := fakes(&answer)
	for range 2 {
		if _, _, err := p.ask(t.Context(), health.Path{Link: "eth1", Index: 3}); !errors.Is(err, answer) {
			t.Fatal(err)
		}
	}
	if len(*opened) != 2 || !(*opened)[0].closed || !(*opened)[1].closed {
		t.Error("a socket that failed is used again")
	}
}

// A socket whose link went away while it rested says so, or is bound to the index of one that is no more.
func TestASocketOfALinkThatWentIsNotUsed(t *testing.T) {
	answer := error(nil)
	p, opened := fakes(&answer)
	ask := func(index int) {
		if _, _, err := p.ask(t.Context(), health.Path{Link: "eth1", Index: index}); err != nil {
			t.Fatal(err)
		}
	}
	ask(3)
	(*opened)[0].unheard = unix.ENETDOWN
	ask(3)
	ask(4)
	if len(*opened) != 3 || !(*opened)[0].closed || !(*opened)[1].closed || (*opened)[2].closed {
		t.Error("a socket of another link is used")
	}
}

func TestASocketThatNobodyNeedsIsClosed(t *testing.T) {
	answer := error(nil)
	p, opened := fakes(&answer)
	for _, link := range []string{"eth1", "eth2"} {
		if _, _, err := p.ask(t.Context(), health.Path{Link: link, Index: 3}); err != nil {
			t.Fatal(err)
		}
	}
	p.idle["eth1"][0].since = time.Now().Add(-2 * unused)
	p.swept = p.idle["eth1"][0].since
	if _, _, err := p.ask(t.Context(), health.Path{Link: "eth2", Index: 3}); err != nil {
		t.Fatal(err)
	}
	if !(*opened)[0].closed || (*opened)[1].closed || len(p.idle) != 1 {
		t.Error("what is not used is kept, or what is used is closed")
	}
}

func TestWhatWasHeardBeforeIsDropped(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.WriteTo([]byte("late"), c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	if err := drop(raw); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteTo([]byte("now"), c.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 16)
	if n, err := c.Read(buffer); err != nil || string(buffer[:n]) != "now" {
		t.Errorf("read %q, %v", buffer[:n], err)
	}
}
