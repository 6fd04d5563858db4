package daemon

import (
	"log/slog"
	"sync/atomic"
)

// savingReport logs when original values can no longer be saved, and when they can again. failed is safe for concurrent use.
type savingReport struct {
	host   interface{ UnsavedOriginals() error }
	log    *slog.Logger
	failed atomic.Bool
}

// update looks at the result of a round.
func (r *savingReport) update() {
	err := r.host.UnsavedOriginals()
	if failed := err != nil; r.failed.Swap(failed) == failed {
		return
	}
	if err == nil {
		r.log.Info("the original values of what is changed are saved again")
		return
	}
	r.log.Warn("cannot save the original values of what is changed: the service works on, but if it ends before they are saved, flush cannot restore them",
		"err", err, "remedy", "make room in the state folder, or make it writable: the service then saves them within 30 seconds")
}
