package main

import (
	"strings"

	"replypath/health"
)

// writeRouters writes the hardware addresses by which uplinks on one interface are distinguished.
func writeRouters(out *strings.Builder, uplinks []health.UplinkStatus) {
	for _, u := range uplinks {
		if len(u.Routers) > 0 {
			writeField(out, "routers", sanitize(u.Name)+" by "+sanitize(u.Interface)+": "+sanitize(strings.Join(u.Routers, ", ")))
		}
	}
}
