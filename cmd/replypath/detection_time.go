package main

import (
	"slices"
	"strings"
	"time"

	"replypath/cmd/internal/config"
	"replypath/health"
	"replypath/uplinks"
)

// detectionTime is the longest time in seconds from a failure of an uplink until it is down, per family. Families without a
// probe are absent.
type detectionTime struct {
	Name string                     `json:"name"`
	Down map[uplinks.Family]float64 `json:"down_after_seconds"`
}

// detectionTimes returns the detection time of each uplink in the families that it has.
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

// String formats the detection time as one line, with one time if it is the same for all families.
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
		return "uplink " + e.Name + ": no probe: its state is that of the link's carrier"
	case len(slices.Compact(slices.Clone(times))) == 1:
		return "uplink " + e.Name + ": a failure is detected within " + times[0]
	}
	for i, f := range families {
		times[i] += " (" + f + ")"
	}
	return "uplink " + e.Name + ": a failure is detected within " + strings.Join(times, ", ")
}
