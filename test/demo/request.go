package main

import (
	"fmt"
	"net/netip"

	"replypath/test/world"
)

// requestKind is a kind of request: a line of a table.
type requestKind struct {
	label string
	kind  world.Kind
	port  uint16
	by    string // the host that answers
}

var (
	gatewayRequests = []requestKind{
		{"ping", world.KindPing, 0, "gw"},
		{"TCP", world.KindTCP, openPort, "gw"},
		{"UDP", world.KindUDP, openPort, "gw"},
		{"closed port", world.KindClosedTCP, closedPort, "gw"},
	}
	lanRequests = []requestKind{
		{"ping", world.KindPing, 0, "ln"},
		{"TCP", world.KindTCP, openPort, "ln"},
		{"UDP", world.KindUDP, openPort, "ln"},
		{"closed port", world.KindClosedTCP, closedPort, "ln"},
	}
	allRequests = append(gatewayRequests[:len(gatewayRequests):len(gatewayRequests)],
		requestKind{"TCP to LAN", world.KindTCP, lanOpenPort, "ln"},
		requestKind{"UDP to LAN", world.KindUDP, lanOpenPort, "ln"},
		requestKind{"closed on LAN", world.KindClosedTCP, lanClosedPort, "ln"},
	)
)

// request is a request to one of the gateway's addresses.
type request struct {
	requestKind
	uplink *world.Uplink // by which the request comes in
	to     netip.Addr
}

func (q request) ipv6() bool { return q.to.Is6() }

func (q request) String() string { return fmt.Sprintf("%s at %s", q.label, q.to) }

// send sends from the port and reports whether the right host replied. Where silence is expected it does
// not wait for long.
func (q request) send(client *world.Host, port uint16, silence bool) bool {
	a := client.Send(world.Request{
		Kind: q.kind, To: netip.AddrPortFrom(q.to, q.port), From: netip.AddrPortFrom(netip.Addr{}, port), ExpectTimeout: silence,
	})
	return a.OK && (a.Host == "" || a.Host == q.by)
}

// isReply reports whether a packet that left the gateway is a reply to the request from the port.
func (q request) isReply(p world.Packet, client netip.Addr, port uint16) bool {
	if p.Dir != world.In || !p.From(q.to) || !p.To(client) {
		return false
	}
	if q.kind == world.KindPing {
		return p.Proto == world.ICMP && p.ICMPType == 0 || p.Proto == world.ICMPv6 && p.ICMPType == 129
	}
	return (p.Proto == world.TCP || p.Proto == world.UDP) && p.DstPort == port && p.SrcPort == q.port
}
