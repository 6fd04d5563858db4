package host

import (
	"errors"

	"replypath/cmd/internal/bpf"
	"replypath/uplinks"
)

// EarlierProgram is a BPF program of another that packets meet before ours at a hook of a link.
type EarlierProgram struct {
	Link    string
	Ingress bool // before a classifier; otherwise before a filter at egress
	bpf.EarlierProgram
}

// ReadEarlierPrograms returns the programs of others that packets meet before the filters and classifiers of the state.
func ReadEarlierPrograms(s uplinks.State) (all []EarlierProgram, err error) {
	if len(s.EgressFilters)+len(s.RouterClassifiers) == 0 {
		return nil, nil
	}
	filters, err := bpf.OpenEgressFilters()
	if err != nil {
		return nil, err
	}
	classifiers, err := bpf.OpenRouterClassifiers()
	if err != nil {
		return nil, err
	}
	add := func(link string, ingress bool, programs []bpf.EarlierProgram, failed error) {
		err = errors.Join(err, failed)
		for _, p := range programs {
			all = append(all, EarlierProgram{link, ingress, p})
		}
	}
	for index, f := range s.EgressFilters {
		programs, failed := filters.Earlier(index)
		add(f.Link, false, programs, failed)
	}
	for index, c := range s.RouterClassifiers {
		programs, failed := classifiers.Earlier(index)
		add(c.Link, true, programs, failed)
	}
	return all, err
}
