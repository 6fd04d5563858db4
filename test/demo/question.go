package main

import (
	"fmt"
	"net/netip"

	"replypath/test/world"
)

// asking is a kind of question: a line of a table.
type asking struct {
	label string
	kind  world.Kind
	port  uint16
	by    string // the host that answers
}

var (
	ownQuestions = []asking{
		{"ping", world.AskPing, 0, "gw"},
		{"TCP", world.AskTCP, openPort, "gw"},
		{"UDP", world.AskUDP, openPort, "gw"},
		{"closed port", world.AskClosedTCP, closedPort, "gw"},
	}
	lanQuestions = []asking{
		{"ping", world.AskPing, 0, "ln"},
		{"TCP", world.AskTCP, openPort, "ln"},
		{"UDP", world.AskUDP, openPort, "ln"},
		{"closed port", world.AskClosedTCP, closedPort, "ln"},
	}
	allQuestions = append(ownQuestions[:len(ownQuestions):len(ownQuestions)],
		asking{"TCP to LAN", world.AskTCP, lanOpenPort, "ln"},
		asking{"UDP to LAN", world.AskUDP, lanOpenPort, "ln"},
		asking{"closed on LAN", world.AskClosedTCP, lanClosedPort, "ln"},
	)
)

// question is an asking of one of the gateway's addresses.
type question struct {
	asking
	uplink *world.Uplink // by which the question comes in
	to     netip.Addr
}

func (q question) ipv6() bool { return q.to.Is6() }

func (q question) String() string { return fmt.Sprintf("%s at %s", q.label, q.to) }

// ask asks from the port and reports whether the right host gave the right answer. Where silence is expected it does
// not wait for long.
func (q question) ask(client *world.Host, port uint16, silence bool) bool {
	a := client.Ask(world.Question{
		Kind: q.kind, To: netip.AddrPortFrom(q.to, q.port), From: netip.AddrPortFrom(netip.Addr{}, port), Silence: silence,
	})
	return a.OK && (a.By == "" || a.By == q.by)
}

// isReply reports whether a packet that left the gateway is a reply to the question, asked from the port.
func (q question) isReply(p world.Packet, client netip.Addr, port uint16) bool {
	if p.Dir != world.In || !p.From(q.to) || !p.To(client) {
		return false
	}
	if q.kind == world.AskPing {
		return p.Proto == world.ICMP && p.ICMPType == 0 || p.Proto == world.ICMPv6 && p.ICMPType == 129
	}
	return (p.Proto == world.TCP || p.Proto == world.UDP) && p.DstPort == port && p.SrcPort == q.port
}
