package daemon

import (
	"time"

	"replypath/uplinks"
)

// tableRestorer is a kernel that loads the table of nftables again when another program has deleted it. *host.Host implements it.
type tableRestorer interface {
	PrepareTable(loads []uplinks.LoadChains) error
	RestoreTable() (done []uplinks.LoadChains, err error)
}

// prepareTable makes ready what RestoreTable loads: the chains of the state.
func (r *Reconciler) prepareTable(desired uplinks.State) {
	if k, restores := r.kernel.(tableRestorer); restores {
		if err := k.PrepareTable(desired.TableLoads()); err != nil {
			r.log.Debug("a flush of nftables will be repaired by a round", "err", err)
		}
	}
}

// RestoreTable loads the table of nftables again if another program has deleted it, as the last round of the whole host has put it
// in force, without reading the kernel: until then every reply strays. Whatever else was deleted is left to the round that follows.
func (r *Reconciler) RestoreTable(reason string) {
	k, restores := r.kernel.(tableRestorer)
	now := time.Now()
	if !restores || !r.inForce || !r.complete || now.Before(r.tableRestored.Add(tableBackoff)) {
		return
	}
	suspects := r.suspects.Snapshot() // before the repair
	loads, err := k.RestoreTable()
	if err != nil {
		r.log.Debug("the table of nftables is left to the next round", "err", err)
	}
	if len(loads) == 0 {
		return
	}
	r.tableRestored = now
	done := loadSteps(loads)
	contested, repeated := r.backoff.RecordRepairs(done, time.Now())
	r.addSteps(done, done)
	r.reportRepairs(done, repeated, reasonText(reason), []uplinks.ChangedScope{{}})
	r.logContested(contested, suspects)
}

func loadSteps(loads []uplinks.LoadChains) (p uplinks.Plan) {
	for _, s := range loads {
		p = append(p, s)
	}
	return p
}
