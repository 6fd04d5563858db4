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
	dialogueStart = 5 * time.Millisecond  // between two dialogues
	dialogueRetry = 50 * time.Millisecond // until a client sends a question again
)

// dialogue is a question of a client's by UDP that is repeated until it is answered.
type dialogue struct {
	ipv6            bool
	began, answered time.Time
}

// wasRepeated reports whether the first question was not answered.
func (d dialogue) wasRepeated() bool { return d.answered.Sub(d.began) > dialogueRetry }

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
				d := &dialogue{ipv6: to.Is6()}
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

// entryChange is the time at which an entry of the gateway's neighbour table has another hardware address.
type entryChange struct {
	ipv6 bool
	at   time.Time
}

// entryChanges returns a channel that gets the changes of the entries of both families to the hardware address.
func (o *office) entryChanges(ctx context.Context, t *testing.T, mac string) <-chan entryChange {
	t.Helper()
	changed, begun := make(chan entryChange, 100), make(chan struct{}, 1)
	go o.Gateway.Do(func() {
		_ = rtnl.WatchNeighbours(ctx, func() { begun <- struct{}{} }, func(n egress.Neighbour) {
			if egress.MACText(n.MAC) == mac && n.State.Valid() {
				select {
				case changed <- entryChange{n.Addr.Is6(), time.Now()}:
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

// logWindows logs for each family until when dialogues went wrong that began after the neighbour entry had changed, before the rules
// followed.
func logWindows(t *testing.T, all []*dialogue, first entryChange, later <-chan entryChange) {
	t.Helper()
	changes := map[bool]time.Time{first.ipv6: first.at}
	for len(later) > 0 {
		if c := <-later; changes[c.ipv6].IsZero() {
			changes[c.ipv6] = c.at
		}
	}
	for ipv6, at := range changes {
		var window time.Duration
		wrong := 0
		for _, d := range all {
			if d.ipv6 == ipv6 && d.began.After(at) && d.wasRepeated() {
				window, wrong = max(window, d.began.Sub(at)), wrong+1
			}
		}
		t.Logf("IPv6 %t: %d dialogues went wrong that began up to %s after the neighbour entry had changed", ipv6, wrong, window.Round(100*time.Microsecond))
	}
}

// TestRouterChangeIsMendedWithinASecond changes a router's hardware address while dialogues begin by it all the time. What began
// before the neighbour entry changed is answered within a second of that, and what begins later within a second of its beginning. A
// machine that is busy may be too late for some changes, so there are several, of which most must be mended in time. The link does not
// forward, so that no classifier at ingress gives marks before the rules follow.
func TestRouterChangeIsMendedWithinASecond(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		for _, family := range []string{"ipv4", "ipv6"} {
			o.Gateway.SetSysctl("net."+family+".conf.eth1.forwarding", "0")
		}
		number, inTime := 0, 0
		box.Eventually(t, box.EventualTimeout, "changes are mended within "+mendTime.String(), func() bool {
			number++
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			mac := fmt.Sprintf("02:00:00:0b:04:%02x", number)
			changed := o.entryChanges(ctx, t, mac)
			stop := o.startDialogues(t, cable)
			time.Sleep(40 * dialogueStart) // some are over before
			cable.setMAC(mac)
			var first entryChange
			select {
			case first = <-changed:
			case <-time.After(box.EventualTimeout):
				t.Fatal("the neighbour entry never changes")
			}
			time.Sleep(mendTime / 2) // others begin later
			var worst time.Duration
			repeated, all := 0, stop()
			for _, d := range all {
				if d.answered.IsZero() {
					t.Fatal("a dialogue is never answered")
				}
				worst = max(worst, d.mended(first.at))
				if d.wasRepeated() {
					repeated++
				}
			}
			t.Logf("change %d: %d questions were repeated; the last wrong dialogue was right after %s", number, repeated, box.RoundDuration(worst))
			logWindows(t, all, first, changed)
			if worst <= mendTime && repeated > 0 {
				inTime++
			}
			return inTime >= 3 && 2*inTime > number
		})
	})
}
