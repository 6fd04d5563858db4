package host

import (
	"replypath/cmd/internal/bpf"
	"replypath/uplinks"
)

// egressFilters reads and writes the filters at egress.
type egressFilters struct{ linkPrograms[bpf.EgressFilter] }

// set sets the settings whose sources are translated.
func (e *egressFilters) set(s uplinks.Settings) { e.linkPrograms.set(s, bpf.OpenEgressFilters) }

// read adds the filters to the state, and to the facts why the kernel refuses them. The facts have the firewalls already.
func (e *egressFilters) read(facts *uplinks.Facts, state *uplinks.State) error {
	wanted := len(e.settings.EgressFilters(*facts)) > 0
	found, refused, err := e.linkPrograms.read(wanted)
	if err != nil {
		return err
	}
	for index, f := range found {
		state.EgressFilters[index] = uplinks.NewEgressFilter(*facts, index, f.Drop, f.Pass)
	}
	if wanted && refused.All == "" {
		refused = e.check()
	}
	facts.EgressFilterRefused = refused
	return nil
}

// SetEgressFilter gives a link its filter.
func (w *stepWriter) SetEgressFilter(f uplinks.EgressFilter) {
	w.flush()
	w.errs = append(w.errs, w.host.egressFilters.setProgram(f.Index, bpf.EgressFilter{Drop: f.Drop, Pass: f.Pass}))
}

// DelEgressFilter takes the filter of a link away.
func (w *stepWriter) DelEgressFilter(f uplinks.EgressFilter) {
	w.flush()
	w.errs = append(w.errs, w.host.egressFilters.deleteProgram(f.Index))
}

// ReadEgressFilters adds the filters at egress of the settings to the state, and to the facts, which have the firewalls, why the kernel
// refuses them. It needs CAP_BPF and CAP_NET_ADMIN.
func ReadEgressFilters(s uplinks.Settings, facts *uplinks.Facts, state *uplinks.State) error {
	var e egressFilters
	e.set(s)
	return e.read(facts, state)
}
