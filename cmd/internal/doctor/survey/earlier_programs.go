package survey

import (
	"cmp"
	"slices"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/host"
)

// readEarlierPrograms reads which programs of others packets meet before the filters and classifiers, which have been read.
func (c *collector) readEarlierPrograms() error {
	all, err := host.ReadEarlierPrograms(c.result.State)
	for _, p := range all {
		c.result.EarlierPrograms = append(c.result.EarlierPrograms, doctor.EarlierProgram{Link: p.Link, Ingress: p.Ingress, Number: p.ID, Name: p.Name})
	}
	slices.SortStableFunc(c.result.EarlierPrograms, func(a, b doctor.EarlierProgram) int { return cmp.Compare(a.Link, b.Link) })
	return err
}
