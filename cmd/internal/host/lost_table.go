package host

import (
	"errors"
	"sync/atomic"

	"replypath/marks"
	"replypath/uplinks"
)

// lostTable is the table of nftables in the case that another program deletes it, as `nft flush ruleset` does.
type lostTable struct {
	generation atomic.Uint32        // of nftables after the deletion that was announced last; 0: none since the last RestoreTable
	loads      []uplinks.LoadChains // what RestoreTable loads; guarded by Host.chains
}

// PrepareTable makes ready what RestoreTable loads: the steps that load the table from nothing.
func (h *Host) PrepareTable(loads []uplinks.LoadChains) error {
	h.chains.Lock()
	defer h.chains.Unlock()
	changes := map[bool]marks.Change{}
	for _, s := range loads {
		changes[s.Firewall.Family == uplinks.IPv6] = s.Change
	}
	h.lost.loads = loads
	return h.firewall.native.PrepareRestore(changes)
}

// RestoreTable loads the table that PrepareTable has made ready, both families in one transaction and without reading anything, if
// the kernel has announced that another program deleted it, and it has not been loaded since. It returns the steps that it has done.
func (h *Host) RestoreTable() (done []uplinks.LoadChains, err error) {
	lost := h.lost.generation.Swap(0)
	if lost == 0 || uint64(lost) <= h.ownGenerations.latest() {
		return nil, nil
	}
	h.chains.Lock()
	defer h.chains.Unlock()
	if err := h.translateFirst(h.lost.loads); err != nil {
		return nil, err
	}
	restored, err := h.firewall.native.Restore()
	if !restored {
		return nil, err
	}
	for _, s := range h.lost.loads {
		h.counters.reset(s)
		err = errors.Join(err, adopt(s.Adopt), deleteUntranslated(s.Untranslated))
	}
	return h.lost.loads, errors.Join(err, h.renewBackup())
}

// translateFirst makes the table of marks.Backup, if there is to be one, and forgets what has begun without translation: as loadAndAdopt
// does, before there are marks with which that would leave, past the filters at egress.
func (h *Host) translateFirst(loads []uplinks.LoadChains) error {
	err := h.renewBackup()
	for _, s := range loads {
		err = errors.Join(err, deleteUntranslated(s.Untranslated))
	}
	return err
}
