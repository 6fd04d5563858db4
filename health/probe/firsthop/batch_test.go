package firsthop

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// sendBatch sends one probe to each gateway, and returns the outcomes in the order of the paths.
func sendBatch(a *Prober, paths []health.Path, timeout time.Duration) []health.Outcome {
	reported := make(chan health.BatchedOutcome, len(paths))
	var batch []health.BatchedProbe
	for _, p := range paths {
		batch = append(batch, health.BatchedProbe{Path: &p, Probe: &health.Probe{Timeout: timeout}})
	}
	a.Send(batch, func(all []health.BatchedOutcome) {
		for _, o := range all {
			reported <- o
		}
	})
	outcomes := make([]health.Outcome, len(paths))
	for range paths {
		o := <-reported
		outcomes[o.N] = o.Outcome
	}
	return outcomes
}

// awaitGateways probes until all gateways answer: duplicate address detection has ended at both ends.
func awaitGateways(t *testing.T, a *Prober, links []probedLink) (all []health.Path) {
	t.Helper()
	for _, l := range links {
		for _, p := range l.paths {
			awaitProbe(t, a, p)
		}
		all = append(all, l.paths...)
	}
	return all
}

const patience = time.Minute

func TestBatchReportsEachOutcome(t *testing.T) {
	host, links := joinGateways(world.New(t), 6)
	host.Do(func() {
		a := New(nil)
		defer a.Close()
		all := awaitGateways(t, a, links)
		for i, o := range sendBatch(a, all, patience) {
			if o.Err != nil || o.RTT <= 0 || o.Sent.IsZero() {
				t.Errorf("%s by %s: %+v", all[i].Gateway, all[i].Link, o)
			}
		}
		links[2].far.Down()
		missing := health.Path{Link: "eth99", Index: 999, Gateway: all[0].Gateway}
		for i, o := range sendBatch(a, append(links[2].paths, missing, health.Path{Link: "eth0"}), 200*time.Millisecond) {
			if o.Err == nil || o.RTT != 0 || o.Sent.IsZero() {
				t.Errorf("%d: %+v", i, o)
			}
		}
	})
}

// The reply to an ARP request is to the hardware address in it: after a change of that, the next request has the new one.
func TestProbesFollowTheHardwareAddress(t *testing.T) {
	host, links := joinGateways(world.New(t), 2)
	host.Do(func() {
		a := New(nil)
		defer a.Close()
		all := awaitGateways(t, a, links)
		for n := range 3 {
			host.Run("ip", "link", "set", links[0].near.Name, "address", fmt.Sprintf("02:00:00:00:55:%02x", n))
			for i, o := range sendBatch(a, all, patience) {
				if o.Err != nil {
					t.Errorf("%s by %s: %+v", all[i].Gateway, all[i].Link, o)
				}
			}
		}
	})
}

// An interface whose queue is stopped holds what is sent to it. Probes by the others are sent and answered.
func TestStoppedQueueDelaysNoOtherUplink(t *testing.T) {
	host, links := joinGateways(world.New(t), 3)
	host.Do(func() {
		a := New(nil)
		defer a.Close()
		awaitGateways(t, a, links)
		stopped, others := links[0], append(links[1].paths, links[2].paths...)
		host.Run("tc", "qdisc", "add", "dev", stopped.near.Name, "root", "tbf", "rate", "8bit", "burst", "1600", "limit", "100m")
		for _, p := range stopped.paths {
			fillQueue(t, a, p)
		}
		for range 3 {
			sendBatch(a, stopped.paths, time.Millisecond)
			for i, o := range sendBatch(a, others, patience) {
				if o.Err != nil {
					t.Errorf("%s by %s: %v", others[i].Gateway, others[i].Link, o.Err)
				}
			}
		}
		host.Run("tc", "qdisc", "del", "dev", stopped.near.Name, "root")
		awaitGateways(t, a, links)
	})
}

// fillQueue sends probes until the path's queue holds all that a socket may send.
func fillQueue(t *testing.T, a *Prober, p health.Path) {
	t.Helper()
	for range 200 {
		for _, o := range sendBatch(a, slices.Repeat([]health.Path{p}, 100), time.Millisecond) {
			if errors.Is(o.Err, unix.EAGAIN) {
				return
			}
		}
	}
	t.Fatalf("the queue of %s is never full", p.Link)
}
