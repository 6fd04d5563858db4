package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"replypath/cmd/internal/explain"
	"replypath/cmd/internal/host"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// documentationClients are the default clients: documentation addresses (RFC 5737, RFC 3849), which usually only default
// routes match.
var documentationClients = map[uplinks.Family]netip.Addr{
	uplinks.IPv4: netip.AddrFrom4([4]byte{203, 0, 113, 1}),
	uplinks.IPv6: netip.MustParseAddr("2001:db8:ffff::1"),
}

// explainListen traces the replies of the servers on a port.
func (p *program) explainListen(ctx context.Context, e *explain.Explainer, spec, client string) (bool, error) {
	addr, err := parseListenAddr(spec)
	if err != nil {
		return false, err
	}
	clients := documentationClients
	if client != "" {
		a, err := parseAddress(client)
		if err != nil {
			return false, err
		}
		clients = map[uplinks.Family]netip.Addr{uplinks.IPv4: documentationClients[uplinks.IPv4], uplinks.IPv6: documentationClients[uplinks.IPv6]}
		clients[uplinks.FamilyOf(a)] = a
	}
	s, err := p.optionalSettings(ctx)
	if err != nil {
		return false, err
	}
	e.UDP = host.ReadUDPHelp(s)
	all, err := e.TraceReplies(ctx, addr, clients)
	if err != nil {
		return false, err
	}
	if p.json {
		return !explain.AnyAsymmetric(all), p.printJSON(e.ReportReplies(all))
	}
	return !explain.AnyAsymmetric(all), e.PrintReplies(p.stdout, all)
}

// parseListenAddr parses 1194/udp, :1194/udp, 192.0.2.2:443/tcp or [2001:db8::2]:53/udp.
func parseListenAddr(text string) (addr explain.ListenAddr, err error) {
	errForm := fmt.Errorf("%w: --listen %s: write it as :1194/udp, 443/tcp or 192.0.2.2:53/udp", errUsage, text)
	end, proto, ok := strings.Cut(text, "/")
	if addr.Proto = map[string]uint8{"tcp": rpdb.TCP, "udp": rpdb.UDP}[proto]; !ok || addr.Proto == 0 {
		return addr, errForm
	}
	if both, err := netip.ParseAddrPort(end); err == nil {
		addr.Addr, addr.Port = both.Addr().Unmap(), both.Port()
	} else {
		port, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(end, "*"), ":"), 10, 16)
		if err != nil {
			return addr, errForm
		}
		addr.Port = uint16(port)
	}
	if addr.Port == 0 {
		return addr, errForm
	}
	return addr, nil
}
