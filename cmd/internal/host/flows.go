package host

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"replypath/marks"
	"replypath/marks/flowtable"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// The time that connections are given to leave a flow table that was deleted, which the kernel does beside, and the interval of
// the looks.
const (
	flowLeaveTime  = time.Second
	flowLeaveCheck = 5 * time.Millisecond
)

// flows reads and writes the flow table of accelerate.
type flows struct {
	// mu is held by each change, and by a move of connections, for which the flow table is away. It guards no field: the others
	// are used by the methods of Host of which one runs at a time.
	mu         sync.Mutex
	wanted     bool
	translates bool // sources are translated: Settings.EgressFilters leaves out links in flow tables
	refused    refusal
	mtus       linkMTUs
}

// linkMTUs are the MTUs of links: as they were when the flow table was made or first seen, and now.
type linkMTUs struct{ made, now map[string]int }

// update takes over the MTUs of links.
func (m *linkMTUs) update(links map[string]uplinks.Link) {
	if m.now == nil {
		m.now = map[string]int{}
	}
	for name, l := range links {
		m.now[name] = l.MTU
	}
	if m.made == nil {
		m.made = maps.Clone(m.now)
	}
}

// renew takes the MTUs of now for those of the flow table.
func (m *linkMTUs) renew() { m.made = maps.Clone(m.now) }

// changed reports whether one of the links has another MTU than it had.
func (m *linkMTUs) changed(links []string) bool {
	return slices.ContainsFunc(links, func(name string) bool {
		before, known := m.made[name]
		return known && m.now[name] != before
	})
}

// set says whether the settings have a flow table.
func (fl *flows) set(s uplinks.Settings) {
	fl.wanted = s.Accelerate != nil && len(s.Uplinks) > 0
	fl.translates = s.Outbound.Translates()
	fl.refused = refusal{}
}

// read adds the flow table to the state, and to the facts those of other programs and why the kernel refuses ours. Of a part of
// the host it reads the flow table alone, and that only if one is wanted.
func (fl *flows) read(facts *uplinks.Facts, state *uplinks.State) error {
	if !fl.wanted && facts.Scopes != nil {
		return nil
	}
	fl.mtus.update(facts.Links)
	now, exists, err := flowtable.Read()
	switch {
	case errors.Is(err, unix.EPERM) && !fl.wanted:
		return nil
	case err != nil:
		return err
	case exists:
		now.MTUChanged = fl.mtus.changed(now.Links())
		state.Flows[now] = true
	}
	if !fl.wanted && !fl.translates || facts.Scopes != nil {
		return nil
	}
	if fl.wanted && !exists {
		fl.refused.check(flowtable.Check)
	}
	facts.FlowRefused = fl.refused.text(exists)
	facts.FlowTables, err = flowtable.Others()
	return err
}

// setTable makes the flow table.
func (fl *flows) setTable(t marks.FlowTable) error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.mtus.renew()
	return flowtable.Set(t)
}

// delete deletes the flow table.
func (fl *flows) delete() error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return flowtable.Delete()
}

// without calls change while there is no flow table, and none of the connections is in one: kernels before 6.4 delete none that is, and
// those that get another mark would keep their path. Then it makes the flow table again, if there was one. Safe for concurrent
// use.
func (fl *flows) without(connections rtnl.MarkFilter, change func() error) error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	before, exists, err := flowtable.Read()
	if err != nil || !exists {
		return errors.Join(err, change())
	}
	if err := flowtable.Delete(); err != nil {
		return fmt.Errorf("end the acceleration of connections: %w", err)
	}
	awaitFlowsLeft(connections)
	err = change()
	if before.Damaged {
		return err
	}
	return errors.Join(err, flowtable.Set(before.FlowTable))
}

// awaitFlowsLeft waits until none of the connections is in a flow table, but not long: one of another program keeps its own.
func awaitFlowsLeft(connections rtnl.MarkFilter) {
	for late := time.Now().Add(flowLeaveTime); time.Now().Before(late); time.Sleep(flowLeaveCheck) {
		if offloaded, err := rtnl.AnyOffloaded(connections); err != nil || !offloaded {
			return
		}
	}
}

// SetFlows makes the flow table.
func (w *stepWriter) SetFlows(t marks.FlowTable) {
	w.flush()
	w.errs = append(w.errs, w.host.ownGenerations.trackNFT(func() error { return w.host.flows.setTable(t) }))
}

// DelFlows deletes the flow table.
func (w *stepWriter) DelFlows() {
	w.flush()
	w.errs = append(w.errs, w.host.ownGenerations.trackNFT(w.host.flows.delete))
}

// ReadFlows adds the flow table of the settings to the state, and to the facts those of other programs and why the kernel
// refuses ours. It needs CAP_NET_ADMIN.
func ReadFlows(s uplinks.Settings, facts *uplinks.Facts, state *uplinks.State) error {
	if s.Accelerate == nil {
		return nil
	}
	var fl flows
	fl.set(s)
	return fl.read(facts, state)
}
