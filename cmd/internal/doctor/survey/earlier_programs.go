package survey

import (
	"cmp"
	"errors"
	"slices"

	"replypath/cmd/internal/bpf"
	"replypath/cmd/internal/doctor"
)

// readEarlierPrograms reads which programs of others packets meet before the filters and classifiers, which have been read.
func (c *collector) readEarlierPrograms() error {
	if len(c.result.State.EgressFilters)+len(c.result.State.RouterClassifiers) == 0 {
		return nil
	}
	filters, err := bpf.OpenEgressFilters()
	if err != nil {
		return err
	}
	classifiers, err := bpf.OpenRouterClassifiers()
	if err != nil {
		return err
	}
	var failed error
	for _, f := range c.result.State.EgressFilters {
		failed = errors.Join(failed, c.addEarlier(filters.Earlier, f.Index, f.Link, false))
	}
	for _, r := range c.result.State.RouterClassifiers {
		failed = errors.Join(failed, c.addEarlier(classifiers.Earlier, r.Index, r.Link, true))
	}
	slices.SortStableFunc(c.result.EarlierPrograms, func(a, b doctor.EarlierProgram) int { return cmp.Compare(a.Link, b.Link) })
	return failed
}

// addEarlier adds the programs of others at a hook of a link.
func (c *collector) addEarlier(earlier func(index int) ([]bpf.EarlierProgram, error), index int, link string, ingress bool) error {
	all, err := earlier(index)
	for _, p := range all {
		c.result.EarlierPrograms = append(c.result.EarlierPrograms, doctor.EarlierProgram{Link: link, Ingress: ingress, Number: p.ID, Name: p.Name})
	}
	return err
}
