package main

import (
	"fmt"
	"strings"

	"replypath/health/proof"
)

// proxyReport is the transparent proxy that has taken a request, in JSON.
type proxyReport struct {
	Intercept string `json:"intercept"`
	Port      uint16 `json:"port"`
}

func newProxyReport(a proof.RequestResult) *proxyReport {
	if !a.Proxied {
		return nil
	}
	return &proxyReport{a.Request.Proxy.Intercept, a.Request.Proxy.Port}
}

// proxiedTexts are the lines by protocol. By UDP the proxy itself gets nothing.
var proxiedTexts = map[string]string{
	"tcp": "intercepted: tcp://%s reaches the proxy on port %d (intercept %s), and its answer leaves by %s",
	"udp": "intercepted: udp://%s is given to the proxy on port %d (intercept %s), and what is answered from there leaves by %s",
}

// proxied returns a line for each answer of a transparent proxy, that of the same request by several uplinks once.
func (v verifyReport) proxied() (lines []string) {
	var all labelled
	for _, path := range v.Paths {
		for _, q := range path.Requests {
			if q.Proxy != nil && q.Left != "" {
				all.add(path.Uplink+" "+path.Family, fmt.Sprintf(proxiedTexts[q.Proto], q.To, q.Proxy.Port, q.Proxy.Intercept, q.Left))
			}
		}
	}
	for _, l := range all {
		lines = append(lines, strings.Join(l.labels, ", ")+" "+l.text)
	}
	return lines
}
