package endpoint

import (
	"slices"
	"strings"

	"replypath/health"
	"replypath/uplinks"
)

// The series of the service.
var (
	buildInfo      = newGauge("build_info", "The version of the service; always 1.", "version")
	healthy        = newGauge("healthy", "Whether the service works, whatever the state of the uplinks.")
	ready          = newGauge("ready", "Whether the configuration has been applied once.")
	inSync         = newGauge("in_sync", "Whether the kernel is as configured.")
	syncSuccess    = newGauge("last_sync_successful", "Whether the last round, which compares and repairs the kernel, succeeded.")
	syncTime       = newGauge("last_sync_timestamp_seconds", "When the last round ended.")
	syncRounds     = newCounter("sync_rounds_total", "Rounds since the service started.")
	syncChanges    = newCounter("sync_changes_total", "Changes of the kernel since the service started.")
	repairs        = newCounter("repairs_total", "Repairs of changes by other programs, by the kind of the repaired object.", "kind")
	repairsWaiting = newGauge("repairs_waiting", "Repairs that are deferred because another program keeps undoing them.")
	driftSteps     = newGauge("drift_steps", "Changes that the last round found missing.")
	reloadGood     = newGauge("config_last_reload_successful", "Whether the last configuration that was read is in use.")
	fileInForce    = newGauge("config_file_in_force", "Whether the configuration in force is that of the file.")
	configSaved    = newGauge("config_saved", "Whether the configuration in force is saved for the next start.")
	reloadTime     = newGauge("config_last_reload_timestamp_seconds", "When a configuration was last read.")
	fingerprint    = newGauge("fingerprint_info", "A hash of what the nodes of a pair must have in common; always 1.", "fingerprint")
	uplinkID       = newGauge("uplink_id", "The id of the uplink, which the marks of its connections have.", "uplink")
	peerReachable  = newGauge("peer_reachable", "Whether the fingerprint of the peer could be read.", "peer")
	peerDifferent  = newGauge("peer_differences", "Differences between the fingerprints of this node and of the peer, when it was last read.", "peer")
	mismarked      = newGauge("mismarked_connections", "Connections to an address of the uplink that have the mark of another, among those that were read.", "uplink", "marked")
	conntrackUsed  = newGauge("conntrack_entries", "Connections in the kernel's table.")
	conntrackLimit = newGauge("conntrack_entries_limit", "The most connections that the kernel's table holds.")
	certificateEnd = newGauge("certificate_not_after_timestamp_seconds", "When the certificate of this endpoint expires.")
	accelerating   = newGauge("acceleration_in_force", "Whether established connections go by the flow table that is configured.")
	proxyListening = newGauge("proxy_listening", "Whether a transparent proxy takes new connections of the intercept.", "intercept", "family", "protocol", "proxy")
	routerRequests = newCounter("router_requests_total", "Packets by which a router of an uplink with several has begun connections.", "uplink", "interface", "mac")
	routerSeen     = newGauge("router_seen_timestamp_seconds", "When a router of an uplink with several has sent a request or an answer last.", "uplink", "interface", "mac")
	foundRouters   = newGauge("found_routers", "Routers on the interface of the uplink that were found by their packets, and are in force.", "uplink", "interface")
)

func collectService(out scrape, s health.Status) {
	out.set(buildInfo, 1, s.Build)
	out.set(healthy, boolValue(s.Healthy))
	out.set(ready, boolValue(s.Ready))
	out.set(inSync, boolValue(s.InSync))
	out.set(syncSuccess, boolValue(s.Error == ""))
	out.setTime(syncTime, s.LastRound)
	out.set(syncRounds, float64(s.Rounds))
	out.set(syncChanges, float64(s.Changes))
	for _, kind := range repairKinds(s.Repairs) {
		out.set(repairs, float64(s.Repairs[kind]), kind)
	}
	out.set(repairsWaiting, float64(s.RepairsWaiting))
	out.set(driftSteps, float64(s.Drift))
	collectPair(out, s)
	if s.Conntrack.Limit > 0 {
		out.set(conntrackUsed, float64(s.Conntrack.Entries))
		out.set(conntrackLimit, float64(s.Conntrack.Limit))
	}
	for _, u := range s.Uplinks {
		if u.FoundRouters != nil {
			out.set(foundRouters, float64(len(u.FoundRouters)), u.Name, u.Interface)
		}
		for _, r := range u.RouterActivity {
			out.set(routerRequests, float64(r.Requests), u.Name, u.Interface, r.MAC)
			if !r.Seen.IsZero() {
				out.set(routerSeen, unixSeconds(r.Seen), u.Name, u.Interface, r.MAC)
			}
		}
	}
	if s.Acceleration != nil {
		out.set(accelerating, boolValue(s.Acceleration.InForce))
	}
	if c := s.Configuration; c != nil {
		out.set(fileInForce, boolValue(c.State == health.FileInForce))
		out.set(configSaved, boolValue(c.Unsaved == ""))
	}
	last := health.ReloadStatus{At: s.Started} // a start reads the configuration too
	if s.Reload != nil {
		last = *s.Reload
	}
	out.set(reloadGood, boolValue(last.Error == ""))
	out.setTime(reloadTime, last.At)
}

// collectPair sends what concerns the other node of a pair.
func collectPair(out scrape, s health.Status) {
	if s.Fingerprint != nil {
		out.set(fingerprint, 1, s.Fingerprint.Value)
		for _, u := range s.Fingerprint.Uplinks {
			out.set(uplinkID, float64(u.ID), u.Name)
		}
	}
	for _, n := range countMismarked(s) {
		out.set(mismarked, float64(n.Count), n.Uplink, n.Marked)
	}
	for _, p := range s.Proxies {
		out.set(proxyListening, boolValue(p.State == uplinks.ProxyListening), p.Intercept, familyLabel(p.Family), p.Protocol, p.Proxy)
	}
	if s.Peer != nil {
		out.set(peerReachable, boolValue(s.Peer.Error == "" && !s.Peer.At.IsZero()), s.Peer.URL)
		out.set(peerDifferent, float64(len(s.Peer.Differences)), s.Peer.URL)
	}
}

// countMismarked returns the sums over the addresses of each uplink.
func countMismarked(s health.Status) (sums []uplinks.MismarkedConnections) {
	for _, m := range s.Mismarked {
		i := slices.IndexFunc(sums, func(o uplinks.MismarkedConnections) bool { return o.Uplink == m.Uplink && o.Marked == m.Marked })
		if i < 0 {
			sums = append(sums, m)
		} else {
			sums[i].Count += m.Count
		}
	}
	return sums
}

// repairKinds returns all kinds of steps. A counter that first appears with value 1 would hide its increase from rate().
func repairKinds(repairs map[string]int) []string {
	all := make([]string, 0, len(uplinks.Kinds))
	known := map[string]bool{}
	for _, kind := range uplinks.Kinds {
		all, known[string(kind)] = append(all, string(kind)), true
	}
	for kind := range repairs {
		if !known[kind] {
			all = append(all, kind)
		}
	}
	return all
}

func familyLabel(f uplinks.Family) string { return strings.ToLower(f.String()) }
