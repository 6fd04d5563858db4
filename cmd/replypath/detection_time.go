package main

import (
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
	if times := familyTimes(e.Down); times != "" {
		return "uplink " + e.Name + ": a failure is detected within " + times
	}
	return "uplink " + e.Name + ": no probe: its state is that of the link's carrier"
}
