package daemon

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify sends the state to the service manager, if there is one (sd_notify(3)). Errors are ignored: nothing depends on it.
func notify(state ...string) {
	_, _ = daemon.SdNotify(false, strings.Join(state, "\n"))
}

// NotifyIdle reports a service that is ready with nothing to do, and the reason. A service that ends without being ready
// has failed for the service manager.
func NotifyIdle(reason error) {
	notify("STATUS=nothing to do: "+firstLine(reason.Error()), "READY=1")
}

// managerNotifier reports to the service manager after each round. Safe for concurrent use.
type managerNotifier struct {
	reports *reports
	reloads *reloadStatus
	saving  *savingReport
	saver   *configurationSaver
	ready   atomic.Bool
}

// notifyStatus reports the result of a round, and feeds the watchdog: a loop that is stuck does not.
func (n *managerNotifier) notifyStatus() {
	r := n.reports.Report()
	status := fmt.Sprintf("%d uplinks, in sync", r.Uplinks)
	switch {
	case r.Err != nil:
		status = "cannot apply: " + firstLine(r.Err.Error())
	case r.Waiting > 0:
		status = fmt.Sprintf("%d uplinks, %s: another program undoes them", r.Uplinks, waitingRepairs(r.Waiting))
	case !r.InSync:
		status = fmt.Sprintf("%d uplinks, repairing", r.Uplinks)
	}
	if last := n.reloads.last.Load(); last != nil && last.Err != nil {
		status += "; the last reload was refused"
	}
	if n.saver.unsaved.Load() != nil {
		status += "; the configuration is not saved"
	}
	if n.saving.failed.Load() {
		status += "; original values are not saved"
	}
	state := []string{"STATUS=" + status, "WATCHDOG=1"}
	// Repairs that wait do not make the service unready. READY=1 ends a reload too, whatever its result.
	if r.InSync || r.Waiting > 0 {
		n.ready.Store(true)
	}
	if n.ready.Load() {
		state = append(state, "READY=1")
	}
	notify(state...)
}

// watchdogInterval returns the time between two notifications that satisfies the watchdog, and the resync interval when
// there is none.
func watchdogInterval() time.Duration {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return resyncInterval
	}
	return interval / 3
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}
