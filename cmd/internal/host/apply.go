package host

import (
	"context"
	"fmt"
	"strings"

	"replypath/cmd/internal/statedir"
	"replypath/uplinks"
)

// Prepare implements uplinks.Preparer: it saves the originals of all tunables of the plan with one write. An original that
// cannot be saved fails with its step.
func (h *Host) Prepare(p uplinks.Plan) error {
	switch link, renamed, err := h.links.Renamed(); {
	case err != nil:
		return err
	case renamed:
		return fmt.Errorf("%s: %w", link, uplinks.ErrRenamed)
	}
	var sets []uplinks.SetTunable
	for _, s := range p {
		if set, is := s.(uplinks.SetTunable); is {
			sets = append(sets, set)
		}
	}
	if len(sets) > 1 {
		h.originals.AddAll(sets, h.links.LinkIndex)
	}
	return nil
}

// Apply writes one step.
func (h *Host) Apply(ctx context.Context, s uplinks.Step) error {
	return h.ApplyAll(ctx, []uplinks.Step{s})[0]
}

// ApplyAll writes the steps in order and returns an error, or nil, for each. Consecutive steps for rtnetlink go to the kernel
// in one batch.
func (h *Host) ApplyAll(ctx context.Context, steps []uplinks.Step) []error {
	w := stepWriter{ctx: ctx, host: h, batch: h.links.NewBatch(), errs: make([]error, 0, len(steps))}
	for _, s := range steps {
		s.WriteTo(&w)
	}
	w.flush()
	h.dropRestored(steps, w.errs)
	for i, err := range w.errs {
		if err != nil {
			w.errs[i] = fmt.Errorf("%s: %w", firstLine(steps[i].String()), err)
		}
	}
	return w.errs
}

// saveOriginal saves the value that the step replaces, and returns the ifindex of its link.
func (h *Host) saveOriginal(s uplinks.SetTunable) (index int, err error) {
	if index, err = h.links.LinkIndex(s.Tunable.Link); err != nil {
		return index, err
	}
	return index, h.originals.Add(s, index)
}

// dropRestored removes the saved originals that the steps restored. An error of it is the error of each such step.
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

// firstLine returns the first line, with an ellipsis if there are more.
func firstLine(s string) string {
	first, _, more := strings.Cut(s, "\n")
	if more {
		first += " ..."
	}
	return first
}
