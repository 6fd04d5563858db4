package uplinks

import (
	"fmt"
	"slices"
)

// SetRouterClassifier gives the link the classifier, in place of one that it has.
type SetRouterClassifier struct {
	chainsStep
	Classifier RouterClassifier
}

// DelRouterClassifier takes the classifier of the link away, which may be gone.
type DelRouterClassifier struct {
	chainsStep
	Classifier RouterClassifier
}

// String returns a comment: no command does this.
func (s SetRouterClassifier) String() string {
	var routers []string
	for _, r := range s.Classifier.Routers {
		routers = append(routers, r.Addr.String())
	}
	text := fmt.Sprintf("# a BPF program at the ingress of %s marks what the neighbour entries of %s show to be of their uplinks", s.Classifier.Link, limitedList(routers))
	var known []string
	for _, k := range s.Classifier.Known {
		known = append(known, k.MAC)
	}
	if len(known) > 0 {
		slices.Sort(known)
		text += ", beside the rules for " + limitedList(known)
	}
	return text
}

// String returns a comment.
func (s DelRouterClassifier) String() string {
	return "# remove the BPF program at the ingress of " + linkText(s.Classifier.Link, s.Classifier.Index)
}

// Removes reports false.
func (SetRouterClassifier) Removes() bool { return false }

// Removes reports false: nothing replaces the classifier, and nothing may wait for it.
func (DelRouterClassifier) Removes() bool { return false }

// WriteTo sets the classifier.
func (s SetRouterClassifier) WriteTo(w Writer) { w.SetRouterClassifier(s.Classifier) }

// WriteTo removes the classifier.
func (s DelRouterClassifier) WriteTo(w Writer) { w.DelRouterClassifier(s.Classifier) }
