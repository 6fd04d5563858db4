package host

import (
	"fmt"
	"time"

	"replypath/health"
)

// strayRecordName is the name of the file that has the stray replies which a proof has reported. Proofs are made by several
// processes, verify and the service: each reports what was counted since the last one, whichever made that.
const strayRecordName = "strays"

// strayRecord is the record of one path.
type strayRecord struct {
	Reported uint64    `json:"reported"` // the reading of the kernel's counter at the last proof
	Recent   uint64    `json:"recent,omitempty"`
	Until    time.Time `json:"until,omitzero"` // so long the service reports Recent
}

// NewStrays returns how many stray replies of each path were counted since the last proof, by the last ReplyCounts. remember is how
// long they count as recent for other processes. What was counted before the first proof of a service (remember is not 0) is not
// new. The counts are right also when the record cannot be saved.
func (h *Host) NewStrays(paths []health.Path, remember time.Duration) (map[health.Key]uint64, error) {
	h.chains.Lock()
	defer h.chains.Unlock()
	known := map[string]strayRecord{}
	first := h.strays == nil
	if first {
		if _, err := h.state.ReadJSON(strayRecordName, &known); err != nil {
			return nil, err
		}
		h.strays = known
	}
	strays, changed := map[health.Key]uint64{}, false
	for _, p := range paths {
		count, counted := h.counters.last[p.Key]
		if !counted {
			continue
		}
		name := fmt.Sprintf("%s %s", p.Uplink, p.Family)
		before := h.strays[name]
		after := before
		n := after.advance(count, remember)
		if first && remember > 0 {
			n, after = 0, strayRecord{Reported: count}
		}
		if n > 0 {
			strays[p.Key] = n
		}
		if after != before {
			h.strays[name], changed = after, true
		}
	}
	if !changed {
		return strays, nil
	}
	return strays, h.state.WriteJSON(strayRecordName, h.strays)
}

// advance takes a new reading and returns the stray replies that a proof reports now.
func (r *strayRecord) advance(count uint64, remember time.Duration) uint64 {
	n := count - r.Reported
	if count < r.Reported { // the counter was reset
		n = count
	}
	r.Reported = count
	switch {
	case n > 0 && remember > 0:
		r.Recent, r.Until = n, time.Now().Add(remember)
	case n == 0 && time.Now().Before(r.Until):
		return r.Recent
	}
	return n
}
