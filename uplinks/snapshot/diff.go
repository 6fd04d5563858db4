package snapshot

import (
	"slices"
	"strings"
)

// Change is a difference between two documents.
type Change struct {
	What string `json:"what"` // Removed, Added or Reordered
	Line string `json:"line"` // of the document; Reordered: what is in another order, such as the rules of a chain
}

// What a change is.
const (
	Removed   = "removed"
	Added     = "added"
	Reordered = "reordered"
)

// String returns the change with the sign that diff(1) uses.
func (c Change) String() string {
	return map[string]string{Removed: "- ", Added: "+ ", Reordered: "~ order of "}[c.What] + c.Line
}

// ordered are the kinds whose order matters, with the number of words that name what is ordered.
var ordered = map[string]int{KindRule: 2, KindAppend: 4, KindHook: 4, KindMangle: 5}

// Compare returns what has changed from one document to another, in the order of the kinds.
func Compare(before, after Document) (all []Change) {
	for _, kind := range Kinds {
		was, is := ofKind(before, kind), ofKind(after, kind)
		removed, added := without(was, is), without(is, was)
		for _, c := range []struct {
			what  string
			lines []string
		}{{Removed, removed}, {Added, added}} {
			for _, l := range c.lines {
				all = append(all, Change{c.what, l})
			}
		}
		for _, group := range reordered(without(was, removed), without(is, added), ordered[kind]) {
			all = append(all, Change{Reordered, group})
		}
	}
	return all
}

func ofKind(d Document, kind string) []string {
	return slices.DeleteFunc(slices.Clone(d), func(l string) bool { return !strings.HasPrefix(l, kind+" ") })
}

// without returns the lines that are not in the others, each as many times as it is there more often.
func without(lines, others []string) (left []string) {
	count := map[string]int{}
	for _, l := range others {
		count[l]++
	}
	for _, l := range lines {
		if count[l]--; count[l] < 0 {
			left = append(left, l)
		}
	}
	return left
}

// reordered returns the groups of lines, by so many first words, that have another order. Both have the same lines.
func reordered(was, is []string, words int) (groups []string) {
	if words == 0 || slices.Equal(was, is) {
		return nil
	}
	before, after := grouped(was, words), grouped(is, words)
	for _, l := range was {
		if g := group(l, words); !slices.Equal(before[g], after[g]) && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

func grouped(lines []string, words int) map[string][]string {
	all := map[string][]string{}
	for _, l := range lines {
		all[group(l, words)] = append(all[group(l, words)], l)
	}
	return all
}

// group returns the first words of a line.
func group(l string, words int) string {
	parts := strings.SplitN(l, " ", words+1)
	return strings.Join(parts[:min(words, len(parts))], " ")
}
