package main

import (
	"strings"

	"replypath/health"
)

// writeProxies writes the state of each transparent proxy.
func writeProxies(out *strings.Builder, proxies []health.ProxyStatus) {
	for _, p := range proxies {
		writeField(out, "proxy", sanitize(p.Intercept)+": "+sanitize(p.Text()))
	}
}
