package host

import (
	"context"
	"fmt"
	"strings"

	"replypath/cmd/internal/statedir"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Prepare notes all values that are about to go at once. What cannot be noted is refused with its own step.
func (h *Host) Prepare(p uplinks.Plan) {
	var sets []uplinks.SetTunable
	for _, s := range p {
		if set, is := s.(uplinks.SetTunable); is {
			sets = append(sets, set)
		}
	}
	if len(sets) > 1 {
		h.originals.AddAll(sets, h.links.LinkIndex)
	}
}

// Apply does one step.
func (h *Host) Apply(ctx context.Context, s uplinks.Step) error {
	return h.ApplyAll(ctx, []uplinks.Step{s})[0]
}

// ApplyAll does steps in their order, and tells what came of each. Those for rtnetlink that follow one another go to the
// kernel together.
func (h *Host) ApplyAll(ctx context.Context, steps []uplinks.Step) []error {
	errs := make([]error, 0, len(steps))
	for rest := steps; len(rest) > 0; rest = steps[len(errs):] {
		results := h.applyNetlink(rest)
		if len(results) == 0 {
			results = []error{h.apply(ctx, rest[0])}
		}
		errs = append(errs, results...)
	}
	h.dropRestored(steps, errs)
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("%s: %w", firstLine(steps[i].String()), err)
		}
	}
	return errs
}

// apply does a step that is none for rtnetlink.
func (h *Host) apply(ctx context.Context, s uplinks.Step) error {
	switch s := s.(type) {
	case uplinks.SetTunable:
		if _, err := h.saveOriginal(s); err != nil {
			return err
		}
		return procfs.Write(s.Tunable, s.Value)
	case uplinks.LoadChains:
		return h.loadChains(ctx, s)
	}
	return fmt.Errorf("no such step: %T", s)
}

// applyNetlink does the first of the steps, as far as they are for rtnetlink.
func (h *Host) applyNetlink(steps []uplinks.Step) []error {
	c := h.links.NewBatch()
	for _, s := range steps {
		if !h.queueChange(c, s) {
			break
		}
	}
	return c.Execute()
}

// queueChange adds a step to the changes, if it is for rtnetlink.
func (h *Host) queueChange(c *rtnl.Batch, s uplinks.Step) bool {
	switch s := s.(type) {
	case uplinks.AddRule:
		c.AddRule(s.Rule)
	case uplinks.DelRule:
		c.DelRule(s.Rule)
	case uplinks.SetRoute:
		c.SetRoute(s.Key, s.Route)
	case uplinks.DelRoute:
		c.DelRoute(s.Key, s.Route)
	case uplinks.SetTunable:
		if s.Tunable.Name != uplinks.LinkGroup {
			return false
		}
		if index, err := h.saveOriginal(s); err != nil {
			c.AddError(err)
		} else {
			c.SetGroup(index, s.Value)
		}
	default:
		return false
	}
	return true
}

// saveOriginal notes a value before it goes, and gives the number of the link that has it.
func (h *Host) saveOriginal(s uplinks.SetTunable) (index int, err error) {
	if index, err = h.links.LinkIndex(s.Tunable.Link); err != nil {
		return index, err
	}
	return index, h.originals.Add(s, index)
}

// dropRestored drops the notes of the values that the steps brought back. What fails then failed for each of them.
func (h *Host) dropRestored(steps []uplinks.Step, errs []error) {
	values := map[statedir.TunableKey]string{}
	var set []int
	for i, s := range steps {
		if s, is := s.(uplinks.SetTunable); is && errs[i] == nil {
			var index int
			if index, errs[i] = h.links.LinkIndex(s.Tunable.Link); errs[i] == nil {
				values[statedir.TunableKey{LinkIndex: index, Name: s.Tunable.Name}] = s.Value
				set = append(set, i)
			}
		}
	}
	if err := h.originals.DropRestored(values); err != nil {
		for _, i := range set {
			errs[i] = err
		}
	}
}

// firstLine names a step of many lines.
func firstLine(s string) string {
	first, _, more := strings.Cut(s, "\n")
	if more {
		first += " ..."
	}
	return first
}
