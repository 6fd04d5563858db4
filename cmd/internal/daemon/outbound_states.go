package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// The kernel walks its whole table of connections for a count.
const (
	outboundCountInterval = 10 * time.Second // between two counts
	countPauseFactor      = 200              // the pause is at least so many times the duration of the last count
)

// outboundStates keeps what the policies use, how connections were moved, and how many each uplink has. It records the changes of
// what a policy uses. Safe for concurrent use.
type outboundStates struct {
	recorder *eventRecorder
	log      *slog.Logger
	count    func(ctx context.Context, f rtnl.MarkFilter) (map[uint32]int, error)
	dropped  func(f uplinks.Facts) ([]health.OutboundFilterStatus, error) // by the filters at egress
	recount  chan struct{}

	mu        sync.Mutex
	settings  uplinks.Settings
	facts     uplinks.Facts
	families  []uplinks.Family
	policies  []health.PolicyStatus // replaced, never changed
	moves     map[uplinks.PathKey]health.OutboundUplinkStatus
	counts    map[uplinks.PathKey]int // replaced, never changed
	countedAt time.Time
	filters   []health.OutboundFilterStatus // replaced, never changed
}

func newOutboundStates(recorder *eventRecorder, log *slog.Logger) *outboundStates {
	return &outboundStates{recorder: recorder, log: log, count: rtnl.CountMarks, dropped: new(host.DropCounters).Read,
		recount: make(chan struct{}, 1), moves: map[uplinks.PathKey]health.OutboundUplinkStatus{}}
}

// observe sets what the policies use in the state that a round has put in force.
func (o *outboundStates) observe(s uplinks.Settings, f uplinks.Facts, v uplinks.Verdicts) {
	uses := s.PolicyUses(f, v)
	o.mu.Lock()
	defer o.mu.Unlock()
	began := len(o.policies) == 0 && len(uses) > 0
	o.settings, o.facts, o.families = s, f, nil
	all := make([]health.PolicyStatus, len(uses))
	for i, use := range uses {
		all[i] = policyStatus(s, use)
		if !slices.Contains(o.families, use.Family) {
			o.families = append(o.families, use.Family)
		}
		o.compare(&all[i])
	}
	o.policies = all
	maps.DeleteFunc(o.moves, func(k uplinks.PathKey, _ health.OutboundUplinkStatus) bool {
		return !slices.ContainsFunc(s.Uplinks, func(u uplinks.Uplink) bool { return u.Name == k.Uplink })
	})
	if began {
		o.requestCount()
	}
}

// policyStatus returns the status of what a policy uses, without times.
func policyStatus(s uplinks.Settings, use uplinks.PolicyUse) health.PolicyStatus {
	p, _ := s.Outbound.Policy(use.Policy)
	status := health.PolicyStatus{Policy: use.Policy, Family: use.Family, Tier: use.Tier + 1, LastResort: string(p.LastResort)}
	for _, m := range use.Members {
		status.Members = append(status.Members, health.PolicyMember{Uplink: m.Uplink, Tier: m.Tier + 1, Weight: m.Weight, State: m.State, SharePercent: 100 * m.Share})
	}
	return status
}

// compare completes a status by the one before, and records that it uses other uplinks.
func (o *outboundStates) compare(now *health.PolicyStatus) {
	now.Since = time.Now()
	i := slices.IndexFunc(o.policies, func(p health.PolicyStatus) bool { return p.Policy == now.Policy && p.Family == now.Family })
	if i < 0 {
		return
	}
	before := o.policies[i]
	from, to := before.UplinksInUse(), now.UplinksInUse()
	if now.Changes = before.Changes; from == to {
		now.Since, now.Reason = before.Since, before.Reason
		return
	}
	now.Changes++
	now.Reason = changeReason(before, *now)
	family, _ := now.Family.MarshalText()
	text := fmt.Sprintf("policy %s %s: %s", now.Policy, now.Family, describeUse(*now))
	o.recorder.Record(health.Event{Kind: eventPolicy, Policy: now.Policy, Family: string(family), From: from, To: to, Text: text + ": " + now.Reason})
	level := slog.LevelInfo
	if now.Tier == 0 {
		level = slog.LevelWarn
	}
	o.log.Log(context.Background(), level, text, "before", from, "why", now.Reason)
}

// describeUse says which uplinks a policy uses, for people.
func describeUse(p health.PolicyStatus) string {
	if p.Tier == 0 {
		return "no uplink is usable, the last resort is " + p.LastResort
	}
	return fmt.Sprintf("uses %s (tier %d)", strings.ReplaceAll(p.UplinksInUse(), ",", ", "), p.Tier)
}

// changeReason says which members' states have changed.
func changeReason(before, now health.PolicyStatus) string {
	var all []string
	for _, m := range now.Members {
		i := slices.IndexFunc(before.Members, func(b health.PolicyMember) bool { return b.Uplink == m.Uplink })
		if i >= 0 && before.Members[i].State != m.State {
			all = append(all, fmt.Sprintf("%s is %s", m.Uplink, m.State))
		}
	}
	if all == nil {
		return "its configuration has changed"
	}
	return strings.Join(all, ", ")
}

// moved sets how the connections of an uplink were moved.
func (o *outboundStates) moved(path uplinks.PathKey, m health.OutboundMove) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.moves[path]
	u.Moves++
	u.Moved += m.Connections + m.SecondSweep + m.Sockets
	u.LastMove = &m
	o.moves[path] = u
	o.requestCount()
}

// requestCount makes Run count soon.
func (o *outboundStates) requestCount() {
	select {
	case o.recount <- struct{}{}:
	default:
	}
}

// Status returns the state; nil without outbound connections.
func (o *outboundStates) Status() *health.OutboundStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.settings.Outbound.Enabled() {
		return nil
	}
	status := &health.OutboundStatus{Default: o.settings.Outbound.Default, CountedAt: o.countedAt, Policies: o.policies, Filters: o.filters}
	for _, u := range o.settings.Uplinks {
		for _, family := range o.families {
			if !u.Manages(family) {
				continue
			}
			path := uplinks.PathKey{Uplink: u.Name, Family: family}
			of := o.moves[path]
			of.Uplink, of.Family, of.Connections = u.Name, family, o.counts[path]
			status.Uplinks = append(status.Uplinks, of)
		}
	}
	return status
}

// Run counts connections until the context ends, every few seconds and after each move.
func (o *outboundStates) Run(ctx context.Context) error {
	timer := time.NewTimer(outboundCountInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.recount:
		case <-timer.C:
		}
		began := time.Now()
		o.countConnections(ctx)
		o.countDropped()
		timer.Reset(max(outboundCountInterval, countPauseFactor*time.Since(began)))
	}
}

// countConnections counts the connections of each uplink that began inside.
func (o *outboundStates) countConnections(ctx context.Context) {
	o.mu.Lock()
	s, families := o.settings, o.families
	o.mu.Unlock()
	if !s.Outbound.Enabled() {
		return
	}
	flag := s.OutboundFlag()
	counts := map[uplinks.PathKey]int{}
	for _, family := range families {
		byMark, err := o.count(ctx, rtnl.MarkFilter{Family: family, Mark: marks.Mark(flag), Mask: flag})
		if err != nil {
			o.log.Debug("cannot count connections", "family", family, "err", err)
			return
		}
		for mark, n := range byMark {
			id := s.Mask.ID(marks.Mark(mark) & marks.Mark(s.Mask))
			for _, u := range s.Uplinks {
				if u.ID == id {
					counts[uplinks.PathKey{Uplink: u.Name, Family: family}] += n
				}
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts, o.countedAt = counts, time.Now()
}

// countDropped counts what the filters at egress have dropped.
func (o *outboundStates) countDropped() {
	o.mu.Lock()
	s, f := o.settings, o.facts
	o.mu.Unlock()
	var filters []health.OutboundFilterStatus
	if s.Outbound.Translates() {
		var err error
		if filters, err = o.dropped(f); err != nil {
			o.log.Debug("cannot count what filters drop", "err", err)
			return
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.filters = filters
}
