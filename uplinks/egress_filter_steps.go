package uplinks

import "fmt"

// SetEgressFilter gives the link the filter, in place of one that it has.
type SetEgressFilter struct {
	chainsStep
	Filter EgressFilter
}

// DelEgressFilter takes the filter of the link away, which may be gone.
type DelEgressFilter struct {
	chainsStep
	Filter EgressFilter
}

// String returns a comment: no command does this.
func (s SetEgressFilter) String() string {
	text := fmt.Sprintf("# [outbound]: a BPF program at the egress of %s drops packets without a mark from %s", s.Filter.Link, limitedList(texts(s.Filter.Drop)))
	if len(s.Filter.Pass) > 0 {
		text += ", but not from " + limitedList(texts(s.Filter.Pass))
	}
	return text
}

// String returns a comment.
func (s DelEgressFilter) String() string {
	return "# [outbound]: remove the BPF program at the egress of " + linkText(s.Filter.Link, s.Filter.Index)
}

// Removes reports false.
func (SetEgressFilter) Removes() bool { return false }

// Removes reports false: nothing replaces the filter, and nothing may wait for it.
func (DelEgressFilter) Removes() bool { return false }

// WriteTo sets the filter.
func (s SetEgressFilter) WriteTo(w Writer) { w.SetEgressFilter(s.Filter) }

// WriteTo removes the filter.
func (s DelEgressFilter) WriteTo(w Writer) { w.DelEgressFilter(s.Filter) }
