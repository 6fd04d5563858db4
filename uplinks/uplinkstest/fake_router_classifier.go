package uplinkstest

import (
	"fmt"
	"maps"

	"replypath/uplinks"
)

// SetRouterClassifier replaces the classifier of a link that exists.
func (w *fakeWriter) SetRouterClassifier(c uplinks.RouterClassifier) {
	if name, exists := w.k.facts.LinkName(c.Index); !exists || name != c.Link {
		w.err = fmt.Errorf("classify what comes in by %s: link %d is %q", c.Link, c.Index, name)
		return
	}
	w.k.classifiers[c.Index] = c
}

// DelRouterClassifier removes the classifier of a link, which may be gone.
func (w *fakeWriter) DelRouterClassifier(c uplinks.RouterClassifier) {
	delete(w.k.classifiers, c.Index)
}

// observeLinkPrograms adds the filters and classifiers of links to the state.
func (k *Fake) observeLinkPrograms(have uplinks.State) {
	maps.Copy(have.EgressFilters, k.filters)
	maps.Copy(have.RouterClassifiers, k.classifiers)
}
