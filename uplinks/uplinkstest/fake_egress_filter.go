package uplinkstest

import (
	"fmt"

	"replypath/uplinks"
)

// SetEgressFilter replaces the filter of a link that exists.
func (w *fakeWriter) SetEgressFilter(e uplinks.EgressFilter) {
	if name, exists := w.k.facts.LinkName(e.Index); !exists || name != e.Link {
		w.err = fmt.Errorf("filter what leaves by %s: link %d is %q", e.Link, e.Index, name)
		return
	}
	w.k.filters[e.Index] = e
}

// DelEgressFilter removes the filter of a link, which may be gone.
func (w *fakeWriter) DelEgressFilter(e uplinks.EgressFilter) { delete(w.k.filters, e.Index) }
