package daemon

import (
	"context"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/uplinks"
)

// The kernel may announce the loss of a carrier up to a second late, when the machine has had another one a moment
// before. So the links by which is asked are looked at as well.
const (
	blink   = 25 * time.Millisecond // between two looks, and
	glances = 8                     // as many links at each
)

// carriers tells the monitor of links that are down or have lost their carrier, until the context ends.
func (s *Service) carriers(ctx context.Context) error {
	g, err := host.Glance()
	if err != nil {
		return err
	}
	defer g.Close()
	next := 0
	for {
		_, paths := s.care.now()
		links := alive(paths)
		for range min(glances, len(links)) {
			next = (next + 1) % len(links)
			s.glance(g.Link, links[next])
		}
		if err := sleep(ctx, blink); err != nil {
			return err
		}
	}
}

// glance tells of a link that is no longer as it was. What is wrong with the look itself, the next event or round finds.
func (s *Service) glance(look func(index int) (uplinks.LinkState, error), at health.Path) {
	is, err := look(at.Index)
	if err != nil || is.Name != at.Link || is.Up && is.Carrier {
		return
	}
	s.care.monitor.Link(is.Name, is.Up, is.Carrier)
	s.care.changed()
	s.loop.Nudge("link")
}

// alive gives a path of each link that is up and has a carrier.
func alive(paths []health.Path) (links []health.Path) {
	for _, p := range paths {
		if p.Up && p.Carrier && (len(links) == 0 || links[len(links)-1].Index != p.Index) {
			links = append(links, p)
		}
	}
	return links
}
