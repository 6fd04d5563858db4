package rtnl

import (
	"context"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"replypath/uplinks"
)

// With the race detector: Open must not write what requests on other handles read.
func TestHandlesOpenWhileOthersAreInUse(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				h, err := Open(uplinks.DefaultTableBase)
				if err != nil {
					t.Error(err)
					return
				}
				if l, err := h.findLink(context.Background(), "lo"); err != nil || l == nil {
					t.Errorf("lo: %v, %v", l, err)
				}
				h.Close()
			}
		})
	}
	wg.Wait()
}

// TestSecondCloseClosesNothingOfOthers opens a file after the first Close, which gets a number that was the handle's or the
// poller's, and reads it after the second.
func TestSecondCloseClosesNothingOfOthers(t *testing.T) {
	h, err := Open(uplinks.DefaultTableBase)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewLinkPoller()
	if err != nil {
		t.Fatal(err)
	}
	closed := []int{h.writer.socket, p.socket}
	h.Close()
	p.Close()
	for _, fd := range closed { // claimed outright: another goroutine might be given them
		if err := unix.Dup3(0, fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
	}
	h.writer.close()
	p.Close()
	for _, fd := range closed {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("file %d: %v", fd, err)
		}
	}
}
