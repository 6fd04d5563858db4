package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"replypath/cmd/internal/explain"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// someClients are asked for when none is named: addresses to which, as a rule, only default routes lead (RFC 5737,
// RFC 3849).
var someClients = map[uplinks.Family]netip.Addr{
	uplinks.IPv4: netip.AddrFrom4([4]byte{203, 0, 113, 1}),
	uplinks.IPv6: netip.MustParseAddr("2001:db8:ffff::1"),
}

// explainListen tells how who listens there would answer.
func (p *program) explainListen(ctx context.Context, e *explain.Explainer, where, client string) (bool, error) {
	ear, err := parseEar(where)
	if err != nil {
		return false, err
	}
	clients := someClients
	if client != "" {
		a, err := address(client)
		if err != nil {
			return false, err
		}
		clients = map[uplinks.Family]netip.Addr{uplinks.IPv4: someClients[uplinks.IPv4], uplinks.IPv6: someClients[uplinks.IPv6]}
		clients[uplinks.FamilyOf(a)] = a
	}
	all, err := e.Listen(ctx, ear, clients)
	if err != nil {
		return false, err
	}
	if p.json {
		return !explain.Wrong(all), p.print(e.ListenReport(all))
	}
	return !explain.Wrong(all), e.PrintListening(p.stdout, all)
}

// parseEar reads 1194/udp, :1194/udp, 192.0.2.2:443/tcp or [2001:db8::2]:53/udp.
func parseEar(text string) (ear explain.Ear, err error) {
	wrong := fmt.Errorf("%w: --listen %s: it must be as :1194/udp, 443/tcp or 192.0.2.2:53/udp", errUsage, text)
	end, proto, ok := strings.Cut(text, "/")
	if ear.Proto = map[string]uint8{"tcp": rpdb.TCP, "udp": rpdb.UDP}[proto]; !ok || ear.Proto == 0 {
		return ear, wrong
	}
	if both, err := netip.ParseAddrPort(end); err == nil {
		ear.Addr, ear.Port = both.Addr().Unmap(), both.Port()
	} else {
		port, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(end, "*"), ":"), 10, 16)
		if err != nil {
			return ear, wrong
		}
		ear.Port = uint16(port)
	}
	if ear.Port == 0 {
		return ear, wrong
	}
	return ear, nil
}
