package host

import (
	"context"
	"errors"

	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// isNew reports whether a router has another hardware address than was read last.
func (m *routerMACs) isNew(n egress.Neighbour) bool {
	mac, usable := usableMAC(n)
	m.mu.Lock()
	defer m.mu.Unlock()
	current, known := m.current[n.Where()]
	return usable && known && current != mac
}

// awaitShared waits until the settings have uplinks that share a link, and returns a context that ends when they change.
func (m *routerMACs) awaitShared(ctx context.Context) (context.Context, context.CancelFunc, error) {
	for {
		m.mu.Lock()
		if m.watched == nil {
			m.watched = make(chan struct{})
		}
		shared, changed := m.shared, m.watched
		m.mu.Unlock()
		if shared {
			current, cancel := context.WithCancel(ctx)
			go func() {
				select {
				case <-changed:
					cancel()
				case <-current.Done():
				}
			}()
			return current, cancel, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// RouterSubject is the subject of changes of the hardware addresses of routers.
const RouterSubject = "router"

// RouterEvents returns the source of the changes of hardware addresses by which uplinks on one link are distinguished.
func (h *Host) RouterEvents() EventSource { return routerEvents{h} }

type routerEvents struct{ host *Host }

func (routerEvents) String() string { return "routers" }

// Watch implements EventSource. Without uplinks that share a link it subscribes to nothing.
func (s routerEvents) Watch(ctx context.Context, handler EventHandler) error {
	for {
		current, cancel, err := s.host.routers.awaitShared(ctx)
		if err != nil {
			return err
		}
		notify := func() { handler.HandleEvent(Event{Subject: RouterSubject}) }
		err = rtnl.WatchNeighbours(current, notify, func(n egress.Neighbour) {
			if s.host.routers.isNew(n) || s.host.found.isDamaged(n) {
				notify()
			}
		})
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.Canceled) {
			return err
		}
	}
}
