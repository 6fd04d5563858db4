package main

import "slices"

// results are what was found.
type results struct {
	tables       []*table
	short        []*table // of them, or instead of them, for the document
	chart        chart
	requirements []requirement
}

// add adds a table that is short enough for the document.
func (r *results) add(t *table) {
	r.tables = append(r.tables, t)
	r.short = append(r.short, t)
}

// broken reports whether something does not hold that must.
func (r *results) broken() bool {
	return slices.ContainsFunc(r.requirements, func(c requirement) bool { return c.verdict() == broken })
}
