package main

import (
	"slices"
	"strings"
	"time"

	"replypath/cmd/internal/config"
	"replypath/health"
	"replypath/uplinks"
)

// failoverTime is the longest time in seconds from a silent failure of an uplink that a policy uses until new connections take
// another one, per family.
type failoverTime struct {
	Name  string                     `json:"name"`
	After map[uplinks.Family]float64 `json:"failover_after_seconds"`
	Alone bool                       `json:"alone"` // it has one uplink: its last resort follows
	Last  uplinks.LastResort         `json:"last_resort"`
	Blind []string                   `json:"unprobed"` // the uplinks whose silent failure is not noticed in a family
}

// failoverTimes returns the failover time of each policy, in the families that its uplinks have. The kernel follows a state
// within milliseconds, so that the time is that of the detection: of the slowest uplink.
func failoverTimes(c config.Config, facts uplinks.Facts) []failoverTime {
	all := []failoverTime{}
	paths := health.Paths(c.Settings, facts)
	for _, policy := range c.Outbound.Policies {
		e := failoverTime{Name: policy.Name, After: map[uplinks.Family]float64{}, Last: policy.LastResort, Blind: []string{}}
		members := slices.Concat(policy.Tiers...)
		e.Alone = len(members) == 1
		for _, p := range paths {
			if !slices.ContainsFunc(members, func(m uplinks.Member) bool { return m.Uplink == p.Uplink }) {
				continue
			}
			if d, known := c.Health.DetectionTime(p); known {
				e.After[p.Family] = max(e.After[p.Family], d.Seconds())
			} else {
				e.Blind = append(e.Blind, p.Uplink+" "+p.Family.String())
			}
		}
		all = append(all, e)
	}
	return all
}

// String formats the failover time as one line.
func (e failoverTime) String() string {
	text := "policy " + e.Name + ": "
	times := familyTimes(e.After)
	switch {
	case times == "" && len(e.Blind) == 0:
		text += "none of its uplinks is there"
	case times == "":
		text += "no probe: it fails over when a link loses its carrier"
	case e.Alone:
		text += "after a silent failure of its only uplink, its last resort is used within " + times
	default:
		text += "after a silent failure, new connections take another uplink within " + times
	}
	if times != "" && len(e.Blind) > 0 {
		text += "; no probe: " + strings.Join(e.Blind, ", ")
	}
	return text
}

// familyTimes formats a time for each family, or one if it is the same for all; "" if there is none.
func familyTimes(of map[uplinks.Family]float64) string {
	var times, families []string
	for _, f := range uplinks.Families {
		if d, known := of[f]; known {
			times = append(times, time.Duration(d*float64(time.Second)).Round(time.Millisecond).String())
			families = append(families, f.String())
		}
	}
	if len(slices.Compact(slices.Clone(times))) < 2 {
		return strings.Join(times[:min(1, len(times))], "")
	}
	for i, f := range families {
		times[i] += " (" + f + ")"
	}
	return strings.Join(times, ", ")
}
