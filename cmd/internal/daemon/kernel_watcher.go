package daemon

import (
	"context"
	"log/slog"

	"replypath/cmd/internal/host"
	"replypath/health/monitor"
	"replypath/uplinks"
)

// kernelWatcher handles the events of one subscription to the kernel.
type kernelWatcher struct {
	events   host.EventSource
	monitor  *monitor.Monitor
	suspects *suspects
	carriers *carrierPoller
	changes  *changeNotifier
	log      *slog.Logger
}

// Run subscribes until the context ends. After a lost subscription it subscribes again: the first event of a subscription
// has the scope of the whole host.
func (w *kernelWatcher) Run(ctx context.Context) error {
	for {
		err := w.events.Watch(ctx, w)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.log.Warn("a subscription to kernel events ended, will subscribe again", "subscription", w.events, "err", err)
		if err := sleep(ctx, retryInterval); err != nil {
			return err
		}
	}
}

// HandleEvent implements host.EventHandler.
func (w *kernelWatcher) HandleEvent(e host.Event) {
	w.changes.proofs.prover.InvalidateRoutes()
	if e.Foreign {
		w.changes.proofs.requestDelayed()
		return
	}
	if e.Origin != "" {
		w.suspects.Set(e.Subject, e.Origin)
	}
	if e.Subject == host.FirewallSubject {
		w.changes.proofs.prover.InvalidateRules()
	}
	if e.Link.Name != "" {
		w.monitor.UpdateLink(e.Link.Name, e.Link.Up, e.Link.Carrier)
		w.carriers.expedite()
	}
	w.changes.NotifyChange(e.Subject, e.Scope)
}

// changeNotifier passes on changes of the host, also those that this program makes.
type changeNotifier struct {
	proofs *proofScheduler
	queue  *roundQueue
}

// NotifyChange marks the proofs of the scope as out of date, and requests a round.
func (n *changeNotifier) NotifyChange(reason string, scope uplinks.ChangedScope) {
	n.proofs.invalidate(scope)
	n.queue.RequestRound(reason, scope)
}
