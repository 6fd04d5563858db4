package daemon

import (
	"context"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/uplinks"
)

// The kernel may announce the loss of a carrier up to a second late, when the machine has had another one a moment
// before. So the links by which is asked are looked at as well: all the time, as long as a look is for all of them, and
// of more when one has just changed, because the same harm may be about to come to the next. Of too many the kernel has
// told by the time at which each had its turn.
const (
	calm    = 40 * time.Millisecond   // between two looks at few links
	blink   = 20 * time.Millisecond   // at many, when one has just changed
	stirred = 1200 * time.Millisecond // for so long
	glances = 4                       // links at each look
	tooMany = 100                     // whose turns take half a second
	none    = time.Second             // without a look, until it is thought about again
)

// carriers tells the monitor of links that are down or have lost their carrier, until the context ends.
func (s *Service) carriers(ctx context.Context) error {
	g, err := host.Glance()
	if err != nil {
		return err
	}
	defer g.Close()
	timer := time.NewTimer(calm)
	defer timer.Stop()
	var until time.Time
	for next := 0; ; {
		_, paths := s.care.now()
		links := alive(paths)
		wait, looks := between(len(links), time.Now().Before(until))
		for range looks {
			next = (next + 1) % len(links)
			s.glance(g.Link, links[next])
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stirred:
			until = time.Now().Add(stirred)
		case <-timer.C:
		}
	}
}

// between is how long to wait before so many links are thought about again, and how many are looked at now.
func between(links int, changed bool) (wait time.Duration, looks int) {
	switch {
	case links == 0:
	case links <= glances:
		return calm, links
	case changed && links <= tooMany:
		return blink, glances
	}
	return none, 0
}

// stir has the links looked at more often for a while.
func (s *Service) stir() {
	select {
	case s.stirred <- struct{}{}:
	default:
	}
}

// glance tells of a link that is no longer as it was. What is wrong with the look itself, the next event or round finds.
func (s *Service) glance(look func(index int) (uplinks.LinkState, error), at *health.Path) {
	is, err := look(at.Index)
	if err != nil || is.Name != at.Link || is.Up && is.Carrier {
		return
	}
	s.care.monitor.Link(is.Name, is.Up, is.Carrier)
	s.announce("link", uplinks.Place{Link: at.Index})
}

// alive gives a path of each link that is up and has a carrier, or of one more than are too many.
func alive(paths []health.Path) (links []*health.Path) {
	for i := range paths {
		p := &paths[i]
		if p.Up && p.Carrier && (len(links) == 0 || links[len(links)-1].Index != p.Index) {
			links = append(links, p)
		}
		if len(links) > tooMany {
			break
		}
	}
	return links
}
