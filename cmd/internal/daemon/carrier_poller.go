package daemon

import (
	"context"
	"time"

	"replypath/health"
	"replypath/health/monitor"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// The kernel announces the loss of a carrier up to a second late when another event of the link preceded it
// (linkwatch_schedule_work in net/core/link_watch.c). So the links of the uplinks are polled too: all the time where one poll
// reaches all of them; of more links, only for a while after one has changed, as the same cause may take down the next.
// Of more than maxPolledLinks the announcement comes before the turn of each.
const (
	carrierPollInterval     = 40 * time.Millisecond // of up to linksPerPoll links
	fastCarrierPollInterval = 20 * time.Millisecond // of more links, for
	fastCarrierPollTime     = 1200 * time.Millisecond
	linksPerPoll            = 4
	maxPolledLinks          = 100         // each has its turn within half a second
	idlePollInterval        = time.Second // until the links are counted again
)

// linkStates reads the state of a link. *rtnl.LinkPoller implements it.
type linkStates interface {
	State(index int) (uplinks.LinkState, error)
}

// carrierPoller reports links that are down or have lost their carrier.
type carrierPoller struct {
	proofs  *proofScheduler // has the paths
	monitor *monitor.Monitor
	changes *changeNotifier
	changed chan struct{} // a link has changed
	timers  health.Timers
}

func newCarrierPoller(p *proofScheduler, m *monitor.Monitor, changes *changeNotifier) *carrierPoller {
	return &carrierPoller{proofs: p, monitor: m, changes: changes, changed: make(chan struct{}, 1)}
}

// expedite shortens the poll interval for fastCarrierPollTime. It never blocks.
func (c *carrierPoller) expedite() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Run polls until the context ends.
func (c *carrierPoller) Run(ctx context.Context) error {
	states, err := rtnl.NewLinkPoller()
	if err != nil {
		return err
	}
	defer states.Close()
	timer := time.NewTimer(carrierPollInterval)
	defer timer.Stop()
	ticks := newTicks(c.timers)
	defer ticks.stop()
	var fastUntil time.Time
	for next := 0; ; {
		_, paths := c.proofs.current()
		polled := pathsWithCarrier(paths)
		wait, n := carrierPollSchedule(len(polled), time.Now().Before(fastUntil))
		for range n {
			next = (next + 1) % len(polled)
			c.poll(states, polled[next])
		}
		var idle <-chan struct{}
		if timer.Stop(); n > 0 {
			timer.Reset(wait)
		} else {
			idle = ticks.after(time.Now(), wait)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.changed:
			fastUntil = time.Now().Add(fastCarrierPollTime)
		case <-timer.C:
		case <-idle:
		}
	}
}

// poll reports the link of the path if it is down. Errors, and a link of another name, are left to the next round.
func (c *carrierPoller) poll(states linkStates, p *health.Path) {
	state, err := states.State(p.Index)
	if err != nil || state.Name != p.Link || state.Up && state.Carrier {
		return
	}
	c.monitor.UpdateLink(state.Name, state.Up, state.Carrier)
	c.changes.NotifyChange("link", uplinks.ChangedScope{Link: p.Index})
}

// carrierPollSchedule returns how many links are polled now, given their number and whether one has changed, and the time
// until the next poll.
func carrierPollSchedule(links int, changed bool) (wait time.Duration, perPoll int) {
	switch {
	case links == 0:
	case links <= linksPerPoll:
		return carrierPollInterval, links
	case changed && links <= maxPolledLinks:
		return fastCarrierPollInterval, linksPerPoll
	}
	return idlePollInterval, 0
}

// pathsWithCarrier returns one path of each link that is up and has a carrier, at most maxPolledLinks+1. The paths of a
// link follow one another.
func pathsWithCarrier(paths []health.Path) (links []*health.Path) {
	for i := range paths {
		p := &paths[i]
		if p.Up && p.Carrier && (len(links) == 0 || links[len(links)-1].Index != p.Index) {
			links = append(links, p)
		}
		if len(links) > maxPolledLinks {
			break
		}
	}
	return links
}
