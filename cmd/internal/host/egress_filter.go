package host

import (
	"errors"
	"io/fs"
	"time"

	"replypath/cmd/internal/bpf"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// egressFilters reads and writes the filters at egress. It is used by the methods of Host of which one runs at a time.
type egressFilters struct {
	settings uplinks.Settings
	filters  *bpf.EgressFilters // nil: not opened
	refused  refusal
}

// set sets the settings whose sources are translated.
func (e *egressFilters) set(s uplinks.Settings) { e.settings, e.refused = s, refusal{} }

// open finds the place of the filters.
func (e *egressFilters) open() error {
	if e.filters != nil {
		return nil
	}
	filters, err := bpf.OpenEgressFilters()
	if err == nil {
		e.filters = filters
	}
	return err
}

// read adds the filters to the state, and to the facts why the kernel refuses them. The facts have the firewalls already.
func (e *egressFilters) read(facts *uplinks.Facts, state *uplinks.State) error {
	wanted := len(e.settings.EgressFilters(*facts)) > 0
	err := e.open()
	var found map[int]bpf.EgressFilter
	if err == nil {
		found, err = e.filters.Read()
	}
	switch {
	case err != nil && wanted:
		facts.EgressFilterRefused = err.Error()
		return nil
	case e.filters == nil || errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return err
	}
	for index, f := range found {
		state.EgressFilters[uplinks.NewEgressFilter(*facts, index, f.Drop, f.Pass)] = true
	}
	if wanted {
		e.refused.check(e.filters.Check)
		facts.EgressFilterRefused = e.refused.text(false)
	}
	return nil
}

// setFilter gives a link its filter. What the kernel refuses is not tried again for a while, unless the link is gone.
func (e *egressFilters) setFilter(f uplinks.EgressFilter) error {
	if err := e.open(); err != nil {
		return err
	}
	drop, pass := f.Networks()
	err := e.filters.Set(f.Index, bpf.EgressFilter{Drop: drop, Pass: pass})
	if err != nil && !errors.Is(err, unix.ENODEV) {
		e.refused = refusal{err, time.Now()}
	}
	return err
}

// deleteFilter takes the filter of a link away.
func (e *egressFilters) deleteFilter(f uplinks.EgressFilter) error {
	if err := e.open(); err != nil {
		return err
	}
	return e.filters.Delete(f.Index)
}

// SetEgressFilter gives a link its filter.
func (w *stepWriter) SetEgressFilter(f uplinks.EgressFilter) {
	w.flush()
	w.errs = append(w.errs, w.host.egressFilters.setFilter(f))
}

// DelEgressFilter takes the filter of a link away.
func (w *stepWriter) DelEgressFilter(f uplinks.EgressFilter) {
	w.flush()
	w.errs = append(w.errs, w.host.egressFilters.deleteFilter(f))
}

// ReadEgressFilters adds the filters at egress of the settings to the state, and to the facts, which have the firewalls, why the kernel
// refuses them. It needs CAP_BPF and CAP_NET_ADMIN.
func ReadEgressFilters(s uplinks.Settings, facts *uplinks.Facts, state *uplinks.State) error {
	var e egressFilters
	e.set(s)
	return e.read(facts, state)
}
