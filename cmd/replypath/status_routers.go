package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"replypath/health"
)

// maxFoundRouters is how many of the routers that were found are written.
const maxFoundRouters = 4

// foundText describes the routers that were found, first those with the most connections.
func foundText(all []health.FoundRouter) string {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b health.FoundRouter) int { return b.Connections - a.Connections })
	var texts []string
	for _, r := range all[:min(len(all), maxFoundRouters)] {
		texts = append(texts, fmt.Sprintf("%s (id %d, %s)", sanitize(r.MAC), r.ID, pluralize(r.Connections, "connection")))
	}
	if more := len(all) - maxFoundRouters; more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, ", ")
}

// activityText describes the routers of an uplink with several.
func activityText(all []health.RouterActivity, now time.Time) string {
	var texts []string
	for _, r := range all {
		words := []string{}
		for _, a := range r.Addresses {
			words = append(words, a.String())
		}
		words = append(words, pluralize(int(r.Requests), "request"))
		if r.Seen.IsZero() {
			words = append(words, "not seen")
		} else {
			words = append(words, "seen "+formatAge(now, r.Seen)+" ago")
		}
		texts = append(texts, sanitize(r.MAC)+" ("+strings.Join(words, ", ")+")")
	}
	return strings.Join(texts, ", ")
}

// writeRouters writes the hardware addresses by which uplinks on one interface are distinguished, and the routers that were found.
func writeRouters(out *strings.Builder, uplinks []health.UplinkStatus, now time.Time) {
	for _, u := range uplinks {
		if len(u.FoundRouters) > 0 {
			writeField(out, "found", sanitize(u.Name)+" by "+sanitize(u.Interface)+": "+foundText(u.FoundRouters))
		}
		switch {
		case len(u.RouterActivity) > 0:
			writeField(out, "routers", sanitize(u.Name)+" by "+sanitize(u.Interface)+": "+activityText(u.RouterActivity, now))
		case len(u.Routers) > 0:
			writeField(out, "routers", sanitize(u.Name)+" by "+sanitize(u.Interface)+": "+sanitize(strings.Join(u.Routers, ", ")))
		}
	}
}
