package daemon

import (
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells the service manager, if there is one (sd_notify(3)). Nothing depends on its hearing it.
func notify(state ...string) {
	_, _ = daemon.SdNotify(false, strings.Join(state, "\n"))
}

// tell says after each round how things stand. It feeds the watchdog: a loop that is stuck does not come here.
func (s *Service) tell() {
	r := s.keeper.Report()
	status := fmt.Sprintf("%d uplinks, in sync", r.Uplinks)
	switch {
	case r.Err != nil:
		status = "cannot apply: " + firstLine(r.Err.Error())
	case r.Waiting > 0:
		status = fmt.Sprintf("%d uplinks, %d repairs wait: somebody undoes them", r.Uplinks, r.Waiting)
	case !r.InSync:
		status = fmt.Sprintf("%d uplinks, repairing", r.Uplinks)
	}
	if last := s.reloaded.Load(); last != nil && last.Err != nil {
		status += "; the last reload was refused"
	}
	state := []string{"STATUS=" + status, "WATCHDOG=1"}
	if r.InSync {
		state = append(state, "READY=1")
	}
	notify(state...)
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}
