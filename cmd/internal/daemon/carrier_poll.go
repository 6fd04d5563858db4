package daemon

import (
	"context"
	"time"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// The kernel may announce the loss of a carrier up to a second late, when the machine has had another one a moment
// before. So the links by which is asked are looked at as well: all the time, as long as a look is for all of them, and
// of more when one has just changed, because the same harm may be about to come to the next. Of too many the kernel has
// told by the time at which each had its turn.
const (
	carrierPollInterval     = 40 * time.Millisecond   // between two looks at few links
	fastCarrierPollInterval = 20 * time.Millisecond   // at many, when one has just changed
	fastCarrierPollTime     = 1200 * time.Millisecond // for so long
	linksPerPoll            = 4                       // links at each look
	maxPolledLinks          = 100                     // whose turns take half a second
	idlePollInterval        = time.Second             // without a look, until it is thought about again
)

// pollCarriers tells the monitor of links that are down or have lost their carrier, until the context ends.
func (s *Service) pollCarriers(ctx context.Context) error {
	g, err := rtnl.NewLinkPoller()
	if err != nil {
		return err
	}
	defer g.Close()
	timer := time.NewTimer(carrierPollInterval)
	defer timer.Stop()
	var until time.Time
	for next := 0; ; {
		_, paths := s.proofs.current()
		polled := pathsWithCarrier(paths)
		wait, n := carrierPollSchedule(len(polled), time.Now().Before(until))
		for range n {
			next = (next + 1) % len(polled)
			s.pollCarrier(g.State, polled[next])
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.linkChanged:
			until = time.Now().Add(fastCarrierPollTime)
		case <-timer.C:
		}
	}
}

// carrierPollSchedule is how long to wait before so many links are thought about again, and how many are looked at now.
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

// pollCarriersFaster has the links looked at more often for a while.
func (s *Service) pollCarriersFaster() {
	select {
	case s.linkChanged <- struct{}{}:
	default:
	}
}

// pollCarrier tells of a link that is no longer as it was. What is wrong with the look itself, the next event or round finds.
func (s *Service) pollCarrier(linkState func(index int) (uplinks.LinkState, error), at *health.Path) {
	is, err := linkState(at.Index)
	if err != nil || is.Name != at.Link || is.Up && is.Carrier {
		return
	}
	s.proofs.monitor.UpdateLink(is.Name, is.Up, is.Carrier)
	s.noteChange("link", uplinks.ChangedScope{Link: at.Index})
}

// pathsWithCarrier gives a path of each link that is up and has a carrier, or of one more than are too many.
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
