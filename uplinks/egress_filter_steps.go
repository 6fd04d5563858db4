package uplinks

import (
	"fmt"
	"strings"
)

// SetEgressFilter gives the link the filter, in place of one that it has.
type SetEgressFilter struct{ Filter EgressFilter }

// DelEgressFilter takes the filter of the link away, which may be gone.
type DelEgressFilter struct{ Filter EgressFilter }

// String returns a comment: no command does this.
func (s SetEgressFilter) String() string {
	text := fmt.Sprintf("# [outbound]: a BPF program at the egress of %s drops packets without a mark from %s", s.Filter.Link, listed(texts(s.Filter.Drop)))
	if len(s.Filter.Pass) > 0 {
		text += ", but not from " + listed(texts(s.Filter.Pass))
	}
	return text
}

// maxListed is how many networks a plan names.
const maxListed = 8

// listed returns the words for people.
func listed(words []string) string {
	if more := len(words) - maxListed; more > 0 {
		return strings.Join(words[:maxListed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(words, ", ")
}

// String returns a comment.
func (s DelEgressFilter) String() string {
	name := s.Filter.Link
	if name == "" {
		name = fmt.Sprintf("link %d, which is gone", s.Filter.Index)
	}
	return "# [outbound]: remove the BPF program at the egress of " + name
}

// Kind returns KindChains.
func (SetEgressFilter) Kind() Kind { return KindChains }

// Kind returns KindChains.
func (DelEgressFilter) Kind() Kind { return KindChains }

// Removes reports false.
func (SetEgressFilter) Removes() bool { return false }

// Removes reports false: nothing replaces the filter, and nothing may wait for it.
func (DelEgressFilter) Removes() bool { return false }

// Scope returns the whole host.
func (SetEgressFilter) Scope() Scope { return Scope{} }

// Scope returns the whole host.
func (DelEgressFilter) Scope() Scope { return Scope{} }

// WriteTo sets the filter.
func (s SetEgressFilter) WriteTo(w Writer) { w.SetEgressFilter(s.Filter) }

// WriteTo removes the filter.
func (s DelEgressFilter) WriteTo(w Writer) { w.DelEgressFilter(s.Filter) }

func (SetEgressFilter) legend() string { return "" }

func (DelEgressFilter) legend() string { return "" }
