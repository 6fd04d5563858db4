package world

import (
	"slices"

	"golang.org/x/sys/unix"
)

// fenceSockets returns the links that can carry markers now: those that are up and whose other end, if any, is up too.
func (w *World) fenceSockets() (map[*Link]*socket, error) {
	if w.fence.sockets == nil {
		w.fence.sockets = map[*Link]*socket{}
	}
	up := map[*Link]*socket{}
	for _, link := range w.fencedLinks() {
		flags, err := link.flags()
		if err != nil {
			return nil, err
		}
		const ready = unix.IFF_UP | unix.IFF_LOWER_UP
		if flags&ready != ready {
			continue
		}
		if w.fence.sockets[link] == nil {
			if w.fence.sockets[link], err = link.tap(markerFilter); err != nil {
				return nil, err
			}
			w.closeAtEnd(w.fence.sockets[link])
		}
		up[link] = w.fence.sockets[link]
	}
	return up, nil
}

// fencedLinks returns the links with another end, and those that are recorded.
func (w *World) fencedLinks() (wires []*Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		for _, l := range h.links {
			recorded := slices.ContainsFunc(w.recorders, func(r *Recorder) bool { return r.link == l })
			if l.Peer != nil || recorded {
				wires = append(wires, l)
			}
		}
	}
	return wires
}

func (w *World) recording() []*Recorder {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.recorders)
}
