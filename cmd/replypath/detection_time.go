package main

import (
	"slices"
	"strings"
	"time"

	"replypath/cmd/internal/config"
	"replypath/health"
	"replypath/uplinks"
)

// detectionTime is how soon an uplink counts as down, at the latest, once nobody answers any more. A family in which nobody
// is asked is absent.
type detectionTime struct {
	Name string                     `json:"name"`
	Down map[uplinks.Family]float64 `json:"down_after_seconds"`
}

// detectionTimes says it of each uplink, in the families that are managed.
func detectionTimes(c config.Config, facts uplinks.Facts) []detectionTime {
	all := []detectionTime{}
	paths := health.Paths(c.Settings, facts)
	for _, u := range c.Health.Uplinks {
		e := detectionTime{Name: u.Name, Down: map[uplinks.Family]float64{}}
		for _, p := range paths {
			if p.Uplink != u.Name {
				continue
			}
			if d, known := c.Health.DetectionTime(p); known {
				e.Down[p.Family] = d.Seconds()
			}
		}
		all = append(all, e)
	}
	return all
}

// String is one line for people. Families that do not differ are not told apart.
func (e detectionTime) String() string {
	var times, families []string
	for _, f := range uplinks.Families {
		if d, known := e.Down[f]; known {
			times = append(times, time.Duration(d*float64(time.Second)).Round(time.Millisecond).String())
			families = append(families, f.String())
		}
	}
	switch {
	case len(times) == 0:
		return "uplink " + e.Name + ": nobody is asked: it is down when its link is"
	case len(slices.Compact(slices.Clone(times))) == 1:
		return "uplink " + e.Name + ": when nobody answers, down after " + times[0] + " at the latest"
	}
	for i, f := range families {
		times[i] += " (" + f + ")"
	}
	return "uplink " + e.Name + ": when nobody answers, down after " + strings.Join(times, ", ") + " at the latest"
}
