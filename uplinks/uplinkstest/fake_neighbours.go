package uplinkstest

import (
	"fmt"

	"replypath/uplinks"
)

// SetNeighbour adds or replaces a neighbour entry, if its link is there.
func (w *fakeWriter) SetNeighbour(key uplinks.NeighbourKey, mac string) {
	if _, exists := w.k.facts.Links[key.Link]; !exists {
		w.err = fmt.Errorf("link %q is not there", key.Link)
		return
	}
	w.k.neighbours[key] = mac
}

// DelNeighbour deletes a neighbour entry, if it exists.
func (w *fakeWriter) DelNeighbour(key uplinks.NeighbourKey) { delete(w.k.neighbours, key) }
