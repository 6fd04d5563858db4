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
