package host

import (
	"errors"
	"sync/atomic"
	"time"

	"replypath/marks"
	"replypath/uplinks"
)

// lostTable is the table of nftables in the case that another program deletes it, as `nft flush ruleset` does.
type lostTable struct {
	generation atomic.Uint32                        // of nftables after the deletion that was announced last; 0: none, or it was dealt with
	done       atomic.Pointer[[]uplinks.LoadChains] // what has restored the table since the last RestoreTable
	loads      []uplinks.LoadChains                 // what restores it; guarded by Host.chains, as is restored
	restored   time.Time                            // when it was restored last
}

// minRestorePause is the time between two restorations by the watcher: more often than that is left to the loop, which waits.
const minRestorePause = 50 * time.Millisecond

// PrepareTable makes ready what restores the table at once: the steps that load it from nothing; none: it is left to rounds.
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

// RestoreTable returns the steps of PrepareTable if the table was loaded again since the last call: the kernel has announced that
// another program deleted it, and the watcher, or now this call if it may, has loaded both families in one transaction, without reading
// anything. It gives the connections that began meanwhile what the table would have given them.
func (h *Host) RestoreTable(may bool) (done []uplinks.LoadChains, err error) {
	if may && h.lost.generation.Load() != 0 {
		h.chains.Lock()
		err = h.restoreLost()
		h.chains.Unlock()
	}
	if all := h.lost.done.Swap(nil); all != nil {
		done = *all
	}
	for _, s := range done {
		err = errors.Join(err, adopt(s.Adopt), renew(s.Renew))
	}
	return done, err
}

// restoreAtOnce restores the table on the goroutine that receives its loss. The program that has deleted it ends, and the end of its
// socket keeps nftables locked until no packet uses what it has deleted, for milliseconds (nft_rcv_nl_event, nf_tables_api.c):
// whatever comes before then is not delayed.
func (h *Host) restoreAtOnce(generation uint32) {
	h.lost.generation.Store(generation)
	h.chains.Lock()
	defer h.chains.Unlock()
	if time.Since(h.lost.restored) < minRestorePause {
		return
	}
	if h.restoreLost() != nil {
		h.lost.generation.Store(generation) // for RestoreTable, which reports why
	}
}

// restoreLost restores the table, unless it was loaded since its loss. The caller holds chains.
func (h *Host) restoreLost() error {
	lost := h.lost.generation.Swap(0)
	if lost == 0 || uint64(lost) <= h.ownGenerations.latest() {
		return nil
	}
	restored, err := h.firewall.native.Restore()
	if !restored {
		return err
	}
	loads := h.lost.loads
	h.lost.done.Store(&loads)
	h.lost.restored = time.Now()
	for _, s := range loads {
		h.counters.reset(s)
	}
	return nil
}
