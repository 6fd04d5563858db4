package main

import (
	"io"
	"slices"
)

// results are what was found.
type results struct {
	tables []*table
	claims []claim
}

func (r *results) print(to io.Writer) {
	for _, t := range r.tables {
		t.print(to)
	}
	if len(r.claims) > 0 {
		claimTable(r.claims).print(to)
	}
}

// broken reports whether something does not hold that must.
func (r *results) broken() bool {
	return slices.ContainsFunc(r.claims, func(c claim) bool { return c.verdict() == broken })
}
