package uplinkstest

import (
	"replypath/marks"
)

// SetFlows replaces the flow table.
func (w *fakeWriter) SetFlows(t marks.FlowTable) {
	clear(w.k.flows)
	w.k.flows[marks.FlowState{FlowTable: t}] = true
}

// DelFlows deletes the flow table, if there is one.
func (w *fakeWriter) DelFlows() { clear(w.k.flows) }

// SetRouterCounters replaces the table that counts replies by router.
func (w *fakeWriter) SetRouterCounters(c marks.RouterCounters) {
	clear(w.k.counters)
	w.k.counters[c] = true
}

// DelRouterCounters deletes the table, if there is one.
func (w *fakeWriter) DelRouterCounters() { clear(w.k.counters) }

// SetBackup replaces the table that translates sources once more.
func (w *fakeWriter) SetBackup(b marks.Backup) {
	clear(w.k.backup)
	w.k.backup[b] = true
}

// DelBackup deletes the table, if there is one.
func (w *fakeWriter) DelBackup() { clear(w.k.backup) }
