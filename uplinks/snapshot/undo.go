package snapshot

import (
	"slices"
	"strings"
)

// Undo is what undoes a restore: what it added goes and what it displaced comes back. What other programs have changed since stays.
type Undo struct {
	Before   Document // the host before the restore
	Restored Document // what was restored
	Ours     bool     // what belongs to replypath is undone
	Others   bool     // what belongs to other programs is undone
}

// With returns the document, followed by the lines that only the other one has.
func (d Document) With(other Document) Document { return slices.Concat(d, without(other, d)) }

// Added returns the lines that the restore has added and that are still there, in the order of the host now.
func (u Undo) Added(now Document) Document {
	return intersect(without(now, u.Before), without(u.Restored, u.Before))
}

// Displaced returns the lines of the host before the restore that are not there now.
func (u Undo) Displaced(now Document) Document { return without(u.Before, now) }

// intersect returns the lines that the others have too, each as many times as both have it.
func intersect(lines, others []string) []string {
	return without(lines, without(lines, others))
}

// Undone returns what a chain is without what a restore has added, in the order that its rules had before.
func (c ChainLines) Undone(before, restored ChainLines) ChainLines {
	added := intersect(without(c.Rules, before.Rules), without(restored.Rules, before.Rules))
	kept := without(c.Rules, added)
	old := intersect(before.Rules, kept)
	if more := without(kept, old); !slices.Equal(without(kept, more), old) {
		kept = slices.Concat(old, more)
	}
	next := ChainLines{Policy: c.Policy, New: c.New, Rules: kept}
	if c.Policy == restored.Policy {
		next.Policy = before.Policy
	}
	next.Gone = restored.New && !before.New && len(kept) == 0
	return next
}

// Refers reports whether a rule of the chain jumps or goes to the other one.
func (c ChainLines) Refers(name string) bool {
	return slices.ContainsFunc(c.Rules, func(r string) bool {
		return strings.Contains(r+" ", " -j "+name+" ") || strings.Contains(r+" ", " -g "+name+" ")
	})
}
