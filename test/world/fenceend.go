package world

import (
	"slices"

	"golang.org/x/sys/unix"
)

// fenceEnds are the links that can carry markers now: those that are up and whose other end, if any, is up too.
func (w *World) fenceEnds() (map[*Link]*socket, error) {
	if w.fence.ends == nil {
		w.fence.ends = map[*Link]*socket{}
	}
	up := map[*Link]*socket{}
	for _, link := range w.wires() {
		flags, err := link.flags()
		if err != nil {
			return nil, err
		}
		const ready = unix.IFF_UP | unix.IFF_LOWER_UP
		if flags&ready != ready {
			continue
		}
		if w.fence.ends[link] == nil {
			if w.fence.ends[link], err = link.tap(onlyMarkers); err != nil {
				return nil, err
			}
			w.closeAtEnd(w.fence.ends[link])
		}
		up[link] = w.fence.ends[link]
	}
	return up, nil
}

// wires are the links with another end, and those that are recorded.
func (w *World) wires() (wires []*Link) {
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
