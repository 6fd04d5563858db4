package main

import "slices"

// results are what was found.
type results struct {
	tables       []*table
	short        []*table // of them, or in their place, for the README
	chart        chart
	requirements []requirement
}

// add adds a table that is small enough for the README.
func (r *results) add(t *table) {
	r.tables = append(r.tables, t)
	r.short = append(r.short, t)
}

// broken reports whether something does not hold that must.
func (r *results) broken() bool {
	return slices.ContainsFunc(r.requirements, func(c requirement) bool { return c.verdict() == broken })
}
