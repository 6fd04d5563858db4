package daemon

import (
	"cmp"
	"fmt"
	"time"

	"replypath/health"
	"replypath/health/monitor"
	"replypath/uplinks/procfs"
)

// roundOverdue is the time without a round after which the loop counts as stuck.
const roundOverdue = 2 * resyncInterval

// statusSource builds the status of the service. Safe for concurrent use. It implements endpoint.Source.
type statusSource struct {
	build      string
	started    time.Time
	reports    *reports
	reloads    *reloadStatus
	manager    *managerNotifier
	monitor    *monitor.Monitor
	events     *health.EventLog
	peers      *peerPoller
	mismarks   *mismarkPoller
	proxies    *proxyStates
	routers    *routerPoller // nil: the kernel of a test has no neighbours
	finder     *routerFinder
	udp        *observedStatus[health.UDPStatus]
	flows      *observedStatus[health.AccelerationStatus]
	comparison *fileComparison
	saver      *configurationSaver
	outbound   *outboundStates
}

// Status returns the status now.
func (s *statusSource) Status() health.Status {
	r := s.reports.Report()
	status := health.Status{
		Version: health.StatusVersion, At: time.Now(), Started: s.started, Build: cmp.Or(s.build, "unknown"),
		Ready:    s.manager.ready.Load(),
		Problems: problems(r, time.Now()),
		SyncStatus: health.SyncStatus{InSync: r.InSync, Since: r.Since, LastRound: r.Last, RepairsWaiting: r.Waiting, Changes: r.Changes,
			Rounds: r.Rounds, Repairs: r.Repairs, Drift: r.Drift},
		Uplinks: s.monitor.Status(),
		Events:  s.events.Events(),
	}
	own, peer := s.peers.Status()
	status.Fingerprint, status.Peer, status.Mismarked = &own, peer, s.mismarks.Found()
	status.Conntrack.Entries, _ = procfs.Sysctl("net/netfilter/nf_conntrack_count")
	status.Conntrack.Limit, _ = procfs.Sysctl("net/netfilter/nf_conntrack_max")
	status.Proxies, status.UDP, status.Outbound = s.proxies.Status(), s.udp.Status(), s.outbound.Status()
	status.Acceleration = s.flows.Status()
	if s.routers != nil {
		macs := s.routers.MACs()
		for i, u := range status.Uplinks {
			status.Uplinks[i].Routers, status.Uplinks[i].RouterActivity = macs[u.Name], s.routers.Activity(u.Name)
		}
	}
	for i, u := range status.Uplinks {
		status.Uplinks[i].FoundRouters = s.finder.status(u.Name)
	}
	configuration := s.comparison.Status()
	if why := s.saver.unsaved.Load(); why != nil {
		configuration.Unsaved = *why
	}
	status.Configuration = &configuration
	status.Healthy = len(status.Problems) == 0
	if r.Err != nil {
		status.Error = r.Err.Error()
	}
	if last := s.reloads.last.Load(); last != nil {
		status.Reload = &health.ReloadStatus{At: last.At}
		if last.Err != nil {
			status.Reload.Error = last.Err.Error()
		}
	}
	return status
}

// Subscribe returns a subscription to all later events.
func (s *statusSource) Subscribe(buffer int) *health.Subscription { return s.events.Subscribe(buffer) }

// problems returns what keeps the service from its work, whatever the states of the uplinks.
func problems(r Report, now time.Time) []string {
	all := []string{}
	if r.Last.IsZero() {
		return append(all, "the kernel was not read yet")
	}
	if quiet := now.Sub(r.Last); quiet > roundOverdue {
		all = append(all, fmt.Sprintf("the kernel was not read for %s", quiet.Round(time.Second)))
	}
	switch {
	case r.Err != nil:
		all = append(all, "the last round failed: "+firstLine(r.Err.Error()))
	case r.Waiting > 0:
		all = append(all, waitingRepairs(r.Waiting)+", because another program undoes them again and again: the log names it")
	case !r.InSync:
		all = append(all, "the kernel is not in sync: it is being repaired")
	}
	return all
}

func waitingRepairs(n int) string {
	if n == 1 {
		return "1 repair waits"
	}
	return fmt.Sprintf("%d repairs wait", n)
}
