package host

import (
	"context"
	"errors"

	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// stepWriter writes steps to the kernel in order. It queues those for rtnetlink until another one comes.
type stepWriter struct {
	ctx   context.Context
	host  *Host
	batch *rtnl.Batch // the queued steps
	errs  []error     // the result of each step before those
}

// flush sends the queued steps.
func (w *stepWriter) flush() {
	w.errs = append(w.errs, w.batch.Execute()...)
	w.batch = w.host.links.NewBatch()
}

// AddRule queues a rule.
func (w *stepWriter) AddRule(r uplinks.Rule) { w.batch.AddRule(r) }

// DelRule queues the deletion of a rule.
func (w *stepWriter) DelRule(r uplinks.Rule) { w.batch.DelRule(r) }

// SetRoute queues a route.
func (w *stepWriter) SetRoute(k uplinks.RouteKey, r uplinks.Route) { w.batch.SetRoute(k, r) }

// DelRoute queues the deletion of a route.
func (w *stepWriter) DelRoute(k uplinks.RouteKey, r uplinks.Route) { w.batch.DelRoute(k, r) }

// SetTunable saves the original of a tunable and sets it: it queues a link's group, and writes a sysctl.
func (w *stepWriter) SetTunable(s uplinks.SetTunable) {
	index, err := w.host.saveOriginal(s)
	switch {
	case s.Kind() == uplinks.KindLink && err != nil:
		w.batch.AddError(err)
	case s.Kind() == uplinks.KindLink:
		w.batch.SetGroup(index, s.Value)
	default:
		w.flush()
		if err == nil {
			err = procfs.Write(s.Tunable, s.Value)
		}
		w.errs = append(w.errs, err)
	}
}

// SetNeighbour queues a permanent neighbour entry.
func (w *stepWriter) SetNeighbour(k uplinks.NeighbourKey, mac string) { w.batch.SetNeighbour(k, mac) }

// DelNeighbour queues the deletion of a neighbour entry.
func (w *stepWriter) DelNeighbour(k uplinks.NeighbourKey) { w.batch.DelNeighbour(k) }

// LoadChains changes the chains of a firewall.
func (w *stepWriter) LoadChains(s uplinks.LoadChains) {
	w.flush()
	w.errs = append(w.errs, w.host.loadAndAdopt(w.ctx, s))
}

// MoveMark gives connections another mark, when the queued rules are there, and deletes the rules of the step. On a kernel that changes no
// connections they keep their mark until their client sends the next packet.
func (w *stepWriter) MoveMark(s uplinks.MoveMark) {
	w.flush()
	err := w.host.moveMark(rtnl.MarkFilter{Family: s.Family, Mark: s.From, Mask: s.Mask}, s.To)
	if err == nil || errors.Is(err, rtnl.ErrNoConnectionList) {
		for _, r := range s.Rules {
			w.batch.DelRule(r)
		}
		err = errors.Join(w.batch.Execute()...)
		w.batch = w.host.links.NewBatch()
	}
	w.errs = append(w.errs, err)
}
