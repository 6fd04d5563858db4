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

// fakeSocket returns a fixed result from probe and records the other calls.
type fakeSocket struct {
	result    error
	drained   int
	drainErr  error // the result of drain
	closed    bool
	deadlines chan time.Time
}

func (e *fakeSocket) Close() error                      { e.closed = true; return nil }
func (e *fakeSocket) drain() error                      { e.drained++; return e.drainErr }
func (e *fakeSocket) SetReadDeadline(t time.Time) error { e.deadlines <- t; return nil }

func (e *fakeSocket) probe(health.Path) (reply, error) {
	if errors.Is(e.result, os.ErrDeadlineExceeded) {
		<-e.deadlines
	}
	return reply{sent: time.Now(), took: 1}, e.result
}

// newFakePool returns a pool whose sockets return the result, and the sockets that it opened.
func newFakePool(result *error) (*socketPool[*fakeSocket], *[]*fakeSocket) {
	var opened []*fakeSocket
	p := newSocketPool(func(health.Path) (*fakeSocket, error) {
		e := &fakeSocket{result: *result, deadlines: make(chan time.Time, 1)}
		opened = append(opened, e)
		return e, nil
	})
	return p, &opened
}

func TestSocketIsReusedAndDrainedBetweenProbes(t *testing.T) {
	result := error(nil)
	p, opened := newFakePool(&result)
	path := health.Path{Link: "eth1", Index: 3}
	for range 3 {
		if _, err := p.probe(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if len(*opened) != 1 || (*opened)[0].drained != 2 {
		t.Errorf("%d sockets were opened, want 1; the first was drained %d times, want 2", len(*opened), (*opened)[0].drained)
	}
	// Two probes at a time need two sockets.
	first, _ := p.get(path)
	second, _ := p.get(path)
	if first == second || len(*opened) != 2 {
		t.Error("two concurrent probes share a socket")
	}
	p.put(path, first)
	p.put(path, second)
	p.close()
	for _, e := range *opened {
		if !e.closed {
			t.Error("a socket is still open after close")
		}
	}
}

func TestSocketIsKeptAfterATimeout(t *testing.T) {
	result := error(os.ErrDeadlineExceeded)
	p, opened := newFakePool(&result)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.probe(ctx, health.Path{Link: "eth1", Index: 3}); !errors.Is(err, result) {
			t.Fatal(err)
		}
	}
	if len(*opened) != 1 || (*opened)[0].closed {
		t.Errorf("%d sockets were opened, want 1 that is still open", len(*opened))
	}
}

func TestSocketIsClosedAfterAnError(t *testing.T) {
	result := error(unix.ENETDOWN)
	p, opened := newFakePool(&result)
	for range 2 {
		if _, err := p.probe(t.Context(), health.Path{Link: "eth1", Index: 3}); !errors.Is(err, result) {
			t.Fatal(err)
		}
	}
	if len(*opened) != 2 || !(*opened)[0].closed || !(*opened)[1].closed {
		t.Error("a socket was kept after an error")
	}
}

// An idle socket whose interface disappears fails, or is bound to an index that no longer exists.
func TestSocketOfARecreatedLinkIsNotReused(t *testing.T) {
	result := error(nil)
	p, opened := newFakePool(&result)
	probe := func(index int) {
		if _, err := p.probe(t.Context(), health.Path{Link: "eth1", Index: index}); err != nil {
			t.Fatal(err)
		}
	}
	probe(3)
	(*opened)[0].drainErr = unix.ENETDOWN
	probe(3)
	probe(4)
	if len(*opened) != 3 || !(*opened)[0].closed || !(*opened)[1].closed || (*opened)[2].closed {
		t.Error("a socket of an earlier interface was reused, or not closed")
	}
}

func TestIdleSocketIsClosedAfterTheTimeout(t *testing.T) {
	result := error(nil)
	p, opened := newFakePool(&result)
	for _, link := range []string{"eth1", "eth2"} {
		if _, err := p.probe(t.Context(), health.Path{Link: link, Index: 3}); err != nil {
			t.Fatal(err)
		}
	}
	p.idle["eth1"][0].idleSince = time.Now().Add(-2 * idleTimeout)
	p.lastSweep = p.idle["eth1"][0].idleSince
	if _, err := p.probe(t.Context(), health.Path{Link: "eth2", Index: 3}); err != nil {
		t.Fatal(err)
	}
	if !(*opened)[0].closed || (*opened)[1].closed || len(p.idle) != 1 {
		t.Error("the idle socket is open, or the used one is closed")
	}
}

func TestDrainDiscardsQueuedPackets(t *testing.T) {
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
	if err := drain(raw); err != nil {
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
