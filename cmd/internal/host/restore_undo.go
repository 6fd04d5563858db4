package host

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
	"replypath/uplinks/snapshot"
)

// UndoRestore undoes a restore, and reads back that nothing of it is left. What other programs have changed since stays.
func (h *Host) UndoRestore(ctx context.Context, u snapshot.Undo) error {
	_, err := h.executeRestoration(ctx, func() (Restoration, error) { return h.PlanUndo(ctx, u) })
	return err
}

// PlanUndo returns what is to be changed to undo a restore.
func (h *Host) PlanUndo(ctx context.Context, u snapshot.Undo) (r Restoration, err error) {
	p, have, err := h.newRestorePlanner(ctx)
	if err != nil {
		return r, err
	}
	r.undoes = true
	if u.Ours {
		before := p.ours(u.Before)
		if err := h.backup.belongingTo(before, have); err != nil {
			return r, err
		}
		r.Ours = uplinks.Diff(before, have)
	}
	if u.Others {
		now, err := h.Snapshot(ctx)
		if err != nil {
			return r, err
		}
		r.Others = slices.Concat(p.undoneChains(u, now), p.undoneValues(u, now), p.undoneRules(u, now), p.undoneRoutes(u, now))
	}
	r.LeftOut = p.leftOut
	return r, nil
}

// undoneRoutes returns the routes that the restore has displaced, and the deletion of those that it has added where none comes back:
// the others, if they are still there then, are for the next round. IPv6 takes a route beside one of several hops for another hop of it.
func (p *restorePlanner) undoneRoutes(u snapshot.Undo, now snapshot.Document) (steps []RestoreStep) {
	var added []rtnl.SavedRoute
	isAdded, replaced := map[uplinks.RouteKey]bool{}, map[uplinks.RouteKey]bool{}
	p.eachOtherRoute(u.Added(now), func(r rtnl.SavedRoute) {
		added, isAdded[r.Key] = append(added, r), true
	})
	p.eachOtherRoute(u.Displaced(now), func(r rtnl.SavedRoute) {
		if isAdded[r.Key] {
			replace := r.Key.Family == uplinks.IPv6 && !replaced[r.Key]
			replaced[r.Key] = true
			steps = append(steps, p.routeStep(r.String(), func(b *rtnl.Batch) { b.AddSavedRoute(r, replace) }))
		}
	})
	slices.SortStableFunc(added, func(a, b rtnl.SavedRoute) int { return cmp.Compare(onLink(a), onLink(b)) })
	for _, r := range added {
		if !replaced[r.Key] {
			deletion := uplinks.DelRoute{Key: r.Key, Route: r.Route}
			steps = append(steps, p.routeStep(deletion.String(), func(b *rtnl.Batch) { b.DelSavedRoute(r) }))
		}
	}
	return steps
}

// onLink returns 1 for a route on a link, on which gateways of others may be, else 0.
func onLink(r rtnl.SavedRoute) int {
	if r.Route.Gateway.IsValid() || !r.Route.Hops.IsEmpty() {
		return 0
	}
	return 1
}

func (p *restorePlanner) routeStep(text string, add func(*rtnl.Batch)) RestoreStep {
	return RestoreStep{uplinks.KindRoute, text, func(context.Context) error {
		b := p.host.links.NewBatch()
		add(b)
		return b.Execute()[0]
	}}
}

// eachOtherRoute calls do with each route of other programs that is not made by the kernel.
func (p *restorePlanner) eachOtherRoute(d snapshot.Document, do func(rtnl.SavedRoute)) {
	p.eachFamily(d, snapshot.KindRoute, func(f uplinks.Family, text string) error {
		if isOurRoute(text) {
			return nil
		}
		r, err := p.routes.Parse(text, f)
		if err == nil && !r.Made() {
			do(r)
		}
		return err
	})
}

// undoneRules returns one step for each family and priority with rules that the restore has added.
func (p *restorePlanner) undoneRules(u snapshot.Undo, now snapshot.Document) (steps []RestoreStep) {
	type place struct {
		family   uplinks.Family
		priority uplinks.Priority
	}
	var places []place
	added, all := map[string]int{}, map[place][]rtnl.SavedRule{}
	collect := func(d snapshot.Document, do func(r rtnl.SavedRule, text string)) {
		p.eachFamily(d, snapshot.KindRule, func(f uplinks.Family, text string) error {
			r, err := rtnl.ParseRuleLine(text, f)
			if err == nil {
				do(r, f.String()+text)
			}
			return err
		})
	}
	collect(u.Added(now), func(r rtnl.SavedRule, text string) {
		if at := (place{r.Family, r.Priority}); r.Protocol != uplinks.Protocol {
			if added[text]++; !slices.Contains(places, at) {
				places = append(places, at)
			}
		}
	})
	goes := map[place][]bool{}
	collect(now, func(r rtnl.SavedRule, text string) {
		at := place{r.Family, r.Priority}
		added[text]--
		all[at], goes[at] = append(all[at], r), append(goes[at], added[text] >= 0)
	})
	for _, at := range places {
		steps = append(steps, p.ruleDeletion(all[at], goes[at]))
	}
	return steps
}

// ruleDeletion returns the step that deletes some of the rules of a priority.
func (p *restorePlanner) ruleDeletion(all []rtnl.SavedRule, goes []bool) RestoreStep {
	text := ""
	for i, r := range all {
		if goes[i] {
			text += r.Deletion() + "\n"
		}
	}
	return RestoreStep{uplinks.KindRule, text[:max(0, len(text)-1)], func(context.Context) error {
		b := p.host.links.NewBatch()
		b.DelSavedRules(all, goes)
		return errors.Join(b.Execute()...)
	}}
}

// undoneValues returns the tunables that still have the value that the restore has set, and those that the kernel sets with them.
func (p *restorePlanner) undoneValues(u snapshot.Undo, now snapshot.Document) (steps []RestoreStep) {
	quiet := restorePlanner{}
	of := func(d snapshot.Document) map[uplinks.Tunable]savedValue {
		all := map[uplinks.Tunable]savedValue{}
		for _, v := range quiet.values(d) {
			all[v.tunable] = v
		}
		return all
	}
	before, is, spread := of(u.Before), of(now), map[string]bool{}
	set := func(t uplinks.Tunable, from, to string) {
		s := uplinks.SetTunable{Tunable: t, Old: from, Value: to}
		steps = append(steps, RestoreStep{s.Kind(), s.String(), func(context.Context) error { return p.setTunable(s) }})
	}
	for _, v := range quiet.values(u.Restored) {
		was, existed := before[v.tunable]
		value, exists := is[v.tunable]
		if v.ours || was.ours || value.ours || !existed || !exists || value.value != v.value || was.value == v.value {
			continue
		}
		set(v.tunable, value.value, was.value)
		spread[procfs.SetsAlso(v.tunable)] = true
	}
	for _, v := range quiet.values(u.Before) {
		if value, exists := is[v.tunable]; spread[v.tunable.Name] && v.tunable.Link != "" && exists && !v.ours {
			set(v.tunable, value.value, v.value)
		}
	}
	return steps
}

// undoneChains returns one step for each mangle table with a chain that the restore has changed. A chain that it has added is deleted
// unless another one has come to use it.
func (p *restorePlanner) undoneChains(u snapshot.Undo, now snapshot.Document) []RestoreStep {
	before, restored, is := u.Before.MangleChains(), u.Restored.MangleChains(), now.MangleChains()
	next := map[snapshot.MangleChain]snapshot.ChainLines{}
	for k, c := range is {
		if changed := c.Undone(before[k], restored[k]); before[k].Lacks(restored[k]) && !changed.Equal(c) {
			next[k] = changed
		}
	}
	for k, c := range next {
		if c.Gone && referred(k, is, next) {
			c.Gone = false
			if next[k] = c; c.Equal(is[k]) {
				delete(next, k)
			}
		}
	}
	return p.chainSteps(is, next)
}

// referred reports whether a chain of the same table refers to this one once some have changed.
func referred(k snapshot.MangleChain, is, next map[snapshot.MangleChain]snapshot.ChainLines) bool {
	for other, c := range is {
		if changed, changes := next[other]; changes {
			c = changed
		}
		if other.Family == k.Family && other.Backend == k.Backend && c.Refers(k.Name) {
			return true
		}
	}
	return false
}
