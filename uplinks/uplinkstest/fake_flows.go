package uplinkstest

import (
	"replypath/marks"
	"replypath/uplinks"
)

// SetFlows replaces the flow table.
func (w *fakeWriter) SetFlows(t marks.FlowTable) {
	clear(w.k.flows)
	w.k.flows[uplinks.FlowState{FlowTable: t}] = true
}

// DelFlows deletes the flow table, if there is one.
func (w *fakeWriter) DelFlows() { clear(w.k.flows) }
