package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"replypath/cmd/internal/explain"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// explainFlow traces the replies of the connection.
func (p *program) explainFlow(ctx context.Context, e *explain.Explainer, words []string) (bool, error) {
	flow, err := parseFlow(words)
	if err != nil {
		return false, err
	}
	c, err := e.TraceFlow(ctx, flow)
	if err != nil {
		return false, err
	}
	right := c.Trace.Arrives() && !e.Strays(c)
	if p.json {
		return right, p.printJSON(e.ReportFlow(c))
	}
	return right, e.PrintFlow(p.stdout, c)
}

// parseFlow parses a connection: a line of conntrack -L, a line of ss, or a protocol and two endpoints in either order.
func parseFlow(words []string) (f rtnl.Flow, err error) {
	words = strings.Fields(strings.Join(words, " "))
	f.Proto = rpdb.TCP
	for _, w := range words {
		if n, ok := rpdb.ProtocolNumber(strings.Replace(strings.ToLower(w), "icmpv6", "ipv6-icmp", 1)); ok {
			f.Proto = n
			break
		}
	}
	if slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "src=") }) {
		f.From, f.To, err = parseConntrackLine(words)
	} else {
		f.From, f.To, err = parseEndpoints(words)
	}
	if err == nil && f.From.Addr().Is4() != f.To.Addr().Is4() {
		err = fmt.Errorf("%w: --flow: %s and %s are of different families", errUsage, f.From, f.To)
	}
	return f, err
}

// parseConntrackLine parses the original direction of a line of conntrack -L.
func parseConntrackLine(words []string) (from, to netip.AddrPort, err error) {
	first := map[string]string{}
	for _, w := range words {
		if key, value, ok := strings.Cut(w, "="); ok && first[key] == "" {
			first[key] = value
		}
	}
	end := func(address, port string) (netip.AddrPort, error) {
		a, err := netip.ParseAddr(first[address])
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("%w: --flow: %s=%s is not an address", errUsage, address, first[address])
		}
		n, err := strconv.ParseUint(first[port], 10, 16)
		if err != nil && first[port] != "" {
			return netip.AddrPort{}, fmt.Errorf("%w: --flow: %s=%s is not a port", errUsage, port, first[port])
		}
		return netip.AddrPortFrom(a, uint16(n)), nil
	}
	port := "sport"
	if first["id"] != "" {
		port = "id"
	}
	if from, err = end("src", port); err != nil {
		return from, to, err
	}
	to, err = end("dst", "dport")
	return from, to, err
}

// parseEndpoints returns the first two words that are an address and a port. ss appends %LINK to the address of a socket that
// is bound to a link, and may write IPv4 addresses as [::ffff:192.0.2.2].
func parseEndpoints(words []string) (from, to netip.AddrPort, err error) {
	var found []netip.AddrPort
	for _, w := range words {
		if at, colon := strings.Index(w, "%"), strings.LastIndex(w, ":"); at >= 0 && at < colon {
			end := w[colon:]
			if strings.HasPrefix(w, "[") {
				end = "]" + end
			}
			w = w[:at] + end
		}
		if a, err := netip.ParseAddrPort(w); err == nil {
			found = append(found, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
		}
	}
	if len(found) < 2 {
		return from, to, fmt.Errorf("%w: --flow needs a line of conntrack -L, a line of ss, or: tcp 203.0.113.9:50000 192.0.2.2:443", errUsage)
	}
	return found[0], found[1], nil
}
