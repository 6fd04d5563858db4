package routers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

const (
	mendTime      = time.Second           // from the change of the neighbour entry, or from the first packet of what begins later
	dialogueStart = 20 * time.Millisecond // between two dialogues
	dialogueRetry = 50 * time.Millisecond // until a client sends a question again
)

// dialogue is a question of a client's by UDP that is repeated until it is answered.
type dialogue struct{ began, answered time.Time }

// mended returns how long the dialogue was wrong since the change, or since it began.
func (d dialogue) mended(change time.Time) time.Duration {
	if d.began.After(change) {
		change = d.began
	}
	return d.answered.Sub(change)
}

// run asks until there is an answer.
func (d *dialogue) run(ctx context.Context, socket *net.UDPConn) {
	d.began = time.Now()
	for buffer := make([]byte, 64); ctx.Err() == nil; {
		_, _ = socket.Write([]byte("question"))
		_ = socket.SetReadDeadline(time.Now().Add(dialogueRetry))
		if _, err := socket.Read(buffer); err == nil {
			d.answered = time.Now()
			return
		}
		time.Sleep(time.Until(d.began.Add(dialogueRetry))) // an error of ICMP comes at once
	}
}

// startDialogues begins dialogues with both addresses by the router, one after the other, until stop, which returns them when all
// have been answered.
func (o *office) startDialogues(t *testing.T, r *router) (stop func() []*dialogue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), box.EventualTimeout)
	var mu sync.Mutex
	var all []*dialogue
	var ended, started sync.WaitGroup
	stopped := make(chan struct{})
	for _, to := range o.to() {
		started.Go(func() {
			for ticks := time.NewTicker(dialogueStart); ; {
				select {
				case <-stopped:
					ticks.Stop()
					return
				case <-ticks.C:
				}
				var socket *net.UDPConn
				var err error
				r.Client.Do(func() {
					socket, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, box.ServedPort)))
				})
				if err != nil {
					t.Errorf("to %s: %v", to, err)
					return
				}
				d := &dialogue{}
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
				ended.Go(func() { d.run(ctx, socket); socket.Close() })
			}
		})
	}
	return func() []*dialogue {
		close(stopped)
		started.Wait()
		ended.Wait()
		cancel()
		return all
	}
}

// entryChange returns a channel that gets the time at which an entry of the gateway's neighbour table has the hardware address.
func (o *office) entryChange(ctx context.Context, t *testing.T, mac string) <-chan time.Time {
	t.Helper()
	changed, begun := make(chan time.Time, 1), make(chan struct{}, 1)
	go o.Gateway.Do(func() {
		_ = rtnl.WatchNeighbours(ctx, func() { begun <- struct{}{} }, func(n egress.Neighbour) {
			if egress.MACText(n.MAC) == mac && n.State.Valid() {
				select {
				case changed <- time.Now():
				default:
				}
			}
		})
	})
	select {
	case <-begun:
	case <-time.After(box.EventualTimeout):
		t.Fatal("the neighbour table cannot be watched")
	}
	return changed
}

// TestRouterChangeIsMendedWithinASecond changes a router's hardware address while dialogues begin by it all the time. What began
// before the neighbour entry changed is answered within a second of that, and what begins later within a second of its beginning. A
// machine that is busy may be too late for some changes, so there are several, of which most must be mended in time.
func TestRouterChangeIsMendedWithinASecond(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		number, inTime := 0, 0
		box.Eventually(t, box.EventualTimeout, "changes are mended within "+mendTime.String(), func() bool {
			number++
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			mac := fmt.Sprintf("02:00:00:0b:04:%02x", number)
			changed := o.entryChange(ctx, t, mac)
			stop := o.startDialogues(t, cable)
			time.Sleep(10 * dialogueStart) // some are over before
			cable.setMAC(mac)
			var change time.Time
			select {
			case change = <-changed:
			case <-time.After(box.EventualTimeout):
				t.Fatal("the neighbour entry never changes")
			}
			time.Sleep(mendTime / 2) // others begin later
			var worst time.Duration
			repeated := 0
			for _, d := range stop() {
				if d.answered.IsZero() {
					t.Fatal("a dialogue is never answered")
				}
				worst = max(worst, d.mended(change))
				if d.answered.Sub(d.began) > dialogueRetry {
					repeated++
				}
			}
			t.Logf("change %d: %d questions were repeated; the last wrong dialogue was right after %s", number, repeated, box.RoundDuration(worst))
			if worst <= mendTime && repeated > 0 {
				inTime++
			}
			return inTime >= 3 && 2*inTime > number
		})
	})
}
