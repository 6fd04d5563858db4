package page

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// pageStatus returns of a host on which a bit of everything is wrong, and whose names and errors are those of an attacker.
func pageStatus(now time.Time) health.Status {
	yes, unknown := health.ProofCheck{Result: health.Yes}, health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: "the kernel does not let the program in: operation not permitted", Remedy: "give the service CAP_BPF and CAP_NET_ADMIN"}
	no := health.ProofCheck{Result: health.No, Cause: health.RuleShadowed, Detail: `rule 1500 "from all lookup 51820" wins over ours: the reply leaves by wg0`, Remedy: "give that rule a priority above 4000"}
	fibre4 := pageStanding(now, uplinks.IPv4, health.Up, .0113, 0)
	fibre4.Proof = health.Proof{Routes: yes, Trace: yes, Replies: health.ReplyCounts{Symmetric: 184213}, At: now.Add(-12 * time.Second)}
	fibre6 := pageStanding(now, uplinks.IPv6, health.Unproven, .0098, 0)
	fibre6.Reason, fibre6.Proof = "its replies leave by another interface", health.Proof{Routes: no, Trace: no, Replies: health.ReplyCounts{Symmetric: 2201, Stray: 14}, At: now.Add(-12 * time.Second)}
	lte4 := pageStanding(now, uplinks.IPv4, health.Up, .047, .06)
	lte4.Degraded, lte4.StateChanges, lte4.Flaps = "icmp://192.0.2.53: 23 % of the last probes lost", 7, 2
	lte4.Probes[0].LossPercent, lte4.Proof = 23, health.Proof{Routes: yes, Trace: unknown, Replies: health.ReplyCounts{Symmetric: 912}, At: now.Add(-4 * time.Second)}
	dsl4 := pageStanding(now, uplinks.IPv4, health.Down, .021, 0)
	for i := 48; i < 60; i++ {
		dsl4.History[i] = health.MinuteStats{At: dsl4.History[i].At, Sent: 60, Lost: 60}
	}
	dsl4.Reason, dsl4.HoldDownSeconds = "no answer from icmp://192.0.2.53 in 1s", 12.4
	dsl4.Probes[0] = health.ProbeStatus{Name: "dns", Target: "icmp://192.0.2.53", Error: "no answer in 1s <img src=http://203.0.113.1/x onerror=document.title='caught'>", Sent: 3600, Lost: 720, LossPercent: 100}
	dsl4.Proof = health.Proof{Routes: yes, Trace: unknown}
	s := health.Status{Version: health.StatusVersion, At: now, Started: now.Add(-50 * time.Hour), Build: "0.2.0", Ready: true, Healthy: true}
	s.SyncStatus = health.SyncStatus{InSync: true, Since: now.Add(-3 * time.Hour), LastRound: now.Add(-2 * time.Second), Changes: 58, Rounds: 311, Repairs: map[string]int{"rule": 4, "chains": 1}}
	s.Uplinks = []health.UplinkStatus{
		{Name: "fibre", ID: 1, Interface: "eth0", State: health.Unproven, Families: []health.FamilyStatus{fibre4, fibre6}},
		{Name: "lte", ID: 2, Interface: "wwan0", State: health.Up, Families: []health.FamilyStatus{lte4}, RouterActivity: []health.RouterActivity{
			{MAC: "02:00:00:0a:03:01", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.12"), netip.MustParseAddr("fe80::12")}, Requests: 1234, Seen: now.Add(-time.Second)},
			{MAC: "02:00:00:0a:03:02", Addresses: []netip.Addr{}, Requests: 1},
		}},
		{Name: "dsl", ID: 3, Interface: "ppp0", State: health.Down, Families: []health.FamilyStatus{dsl4}},
		{Name: "backup", ID: 4, Interface: "eth7", State: health.Absent, Families: []health.FamilyStatus{{Family: uplinks.IPv4, State: health.Absent, Reason: "there is no link eth7", Since: now.Add(-50 * time.Hour)}}},
	}
	s.Outbound = pageOutbound(now)
	s.Proxies = []health.ProxyStatus{
		{Intercept: "web", Family: uplinks.IPv4, Protocol: "tcp", Proxy: "50080", State: uplinks.ProxyListening, Since: now.Add(-3 * time.Hour), Without: uplinks.Pass},
		{Intercept: "web", Family: uplinks.IPv6, Protocol: "tcp", Proxy: "50080", State: uplinks.ProxyNotAnswering, Since: now.Add(-4 * time.Minute), Without: uplinks.Pass,
			Check: "http://127.0.0.1:8404/alive", Error: "http://127.0.0.1:8404/alive: no answer within 1s <img src=http://203.0.113.1/x onerror=document.title='caught'>"},
		{Intercept: "dns", Family: uplinks.IPv4, Protocol: "udp", Proxy: "198.18.0.1:50053", State: uplinks.ProxyNobody, Since: now.Add(-time.Minute), Without: uplinks.DropNew},
	}
	return s
}

// pageOutbound returns policies, one of which has failed over.
func pageOutbound(now time.Time) *health.OutboundStatus {
	return &health.OutboundStatus{Default: "balanced", CountedAt: now, Policies: []health.PolicyStatus{
		{Policy: "balanced", Family: uplinks.IPv4, Tier: 2, LastResort: "main", Since: now.Add(-12 * time.Minute), Changes: 1, Reason: "dsl is down",
			Members: []health.PolicyMember{{Uplink: "dsl", Tier: 1, Weight: 1, State: uplinks.MemberDown}, {Uplink: "lte", Tier: 2, Weight: 1, State: uplinks.MemberUsable, SharePercent: 100}}},
		{Policy: "balanced", Family: uplinks.IPv6, LastResort: "unreachable", Since: now.Add(-time.Hour), Members: []health.PolicyMember{{Uplink: "dsl", Tier: 1, Weight: 1, State: uplinks.MemberAbsent}}},
	}, Uplinks: []health.OutboundUplinkStatus{
		{Uplink: "dsl", Family: uplinks.IPv4, Moves: 1, Moved: 4093, LastMove: &health.OutboundMove{At: now.Add(-12 * time.Minute), Reason: "it is down <img src=x>", Connections: 4089, SecondSweep: 1, Sockets: 3, Milliseconds: 71}},
		{Uplink: "lte", Family: uplinks.IPv4, Connections: 12004},
	}}
}

// pageStanding returns a history of an hour that looks like a real one.
func pageStanding(now time.Time, f uplinks.Family, s health.State, mean, loss float64) health.FamilyStatus {
	st := health.FamilyStatus{Family: f, State: s, Since: now.Add(-187 * time.Minute), Source: "198.51.100.2", Gateway: "198.51.100.1"}
	if f == uplinks.IPv6 {
		st.Source, st.Gateway = "2001:db8:a::2", "2001:db8:a::1"
	}
	st.Probes = []health.ProbeStatus{
		{Name: "dns", Target: "icmp://192.0.2.53", Up: true, Sent: 3600, Lost: 2, RTTSeconds: mean, MeanRTTSeconds: mean},
		{Name: "web", Target: "https://www.example.com/alive?from=here", Up: true, Sent: 3600, Lost: 9, RTTSeconds: 2 * mean, MeanRTTSeconds: 1.9 * mean},
	}
	for i := range 60 {
		wave := mean * (1 + .12*math.Sin(float64(i)/4) + .05*math.Sin(float64(i)*1.7))
		slot := health.MinuteStats{At: now.Truncate(time.Minute).Add(time.Duration(i-59) * time.Minute), Sent: 60, MeanRTTSeconds: wave, MaxRTTSeconds: wave * (1.2 + .5*math.Abs(math.Sin(float64(i)*2.3)))}
		if loss > 0 && i%7 > 3 {
			slot.Lost = int(60 * loss * math.Abs(math.Sin(float64(i))) * 4)
		}
		st.History = append(st.History, slot)
	}
	return st
}

// pageEvents returns more events than the page shows at first.
func pageEvents(j *health.EventLog, now time.Time) {
	for i := range 30 {
		j.Add(health.Event{At: now.Add(time.Duration(i-40) * time.Minute), Kind: "repair", Text: fmt.Sprintf("rule 2001 was missing and is back (number %d)", i)})
	}
	j.Add(health.Event{At: now.Add(-12 * time.Minute), Kind: "state", Uplink: "dsl", Family: "ipv4", From: "up", To: "down", Text: "dsl IPv4 is down: no answer from icmp://192.0.2.53 in 1s"})
	j.Add(health.Event{At: now.Add(-time.Minute), Kind: "proof", Uplink: "fibre", Family: "ipv6", Text: "</script><script>document.title='caught'</script><b id=caught>fibre</b> IPv6 reply path broken"})
}
