package daemon

import (
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells the service manager, if there is one (sd_notify(3)). Nothing depends on its hearing it.
func notify(state ...string) {
	_, _ = daemon.SdNotify(false, strings.Join(state, "\n"))
}

// NotifyIdle tells the service manager that all is well though nothing is done, and why. To end without being ready would be
// a failure to it.
func NotifyIdle(reason error) {
	notify("STATUS=nothing to do: "+firstLine(reason.Error()), "READY=1")
}

// notifyManager says after each round how things stand. It feeds the watchdog: a loop that is stuck does not come here.
func (s *Service) notifyManager() {
	r := s.reconciler.Report()
	status := fmt.Sprintf("%d uplinks, in sync", r.Uplinks)
	switch {
	case r.Err != nil:
		status = "cannot apply: " + firstLine(r.Err.Error())
	case r.Waiting > 0:
		status = fmt.Sprintf("%d uplinks, %d repairs wait: somebody undoes them", r.Uplinks, r.Waiting)
	case !r.InSync:
		status = fmt.Sprintf("%d uplinks, repairing", r.Uplinks)
	}
	if last := s.lastReload.Load(); last != nil && last.Err != nil {
		status += "; the last reload was refused"
	}
	state := []string{"STATUS=" + status, "WATCHDOG=1"}
	// Once is enough, also when a rival keeps something from being in sync. It ends a reload too, however that went.
	if r.InSync || r.Waiting > 0 {
		s.ready.Store(true)
	}
	if s.ready.Load() {
		state = append(state, "READY=1")
	}
	notify(state...)
}

// watchdogInterval is how often the watchdog must be fed, well before it bites; very seldom when there is none.
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
