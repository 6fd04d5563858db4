package main

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// path is a way of packets through a gateway that has a cost of its own.
type path struct {
	name   string
	label  string // in tables
	from   string // the link it comes in by: inner or outer
	varies bool   // each packet is the first of another connection
	frame  func(g *gateway, f family, mac []byte) []byte
	out    string // by which link what becomes of it leaves: inner, outer, or other
}

const (
	inner = "lan0"
	outer = "the last uplink"
	other = "the first uplink"
)

// The paths. An established connection is one that conntrack calls assured; a young one has been answered just now.
var (
	reply    = path{name: "reply", label: "reply, forwarded", from: inner, frame: lanReply, out: outer}
	original = path{name: "original", label: "original direction", from: outer, frame: clientRequest, out: inner}
	local    = path{name: "local", label: "reply of the host's TCP", from: outer, frame: repeatedRequest, out: outer}
	outbound = path{name: "outbound", label: "LAN to the Internet", from: inner, frame: lanRequest, out: other}
	young    = path{name: "young", label: "first replies, forwarded", from: inner, frame: lanReply, out: outer}
	ping     = path{name: "ping", label: "reply to a ping", from: outer, frame: pingRequest, out: outer}
	first    = path{name: "first", label: "first packet", from: outer, varies: true, frame: newSourceRequest, out: inner}
)

func lanReply(_ *gateway, f family, mac []byte) []byte {
	return udp(mac, netip.AddrPortFrom(f.lan(), lanPort), netip.AddrPortFrom(f.client(), 40000))
}

func clientRequest(g *gateway, f family, mac []byte) []byte {
	return udp(mac, netip.AddrPortFrom(f.client(), 40000), netip.AddrPortFrom(f.own(g.lastIndex()), lanPort))
}

func newSourceRequest(g *gateway, f family, mac []byte) []byte {
	return udp(mac, netip.AddrPortFrom(f.unknownSource(), 0), netip.AddrPortFrom(f.own(g.lastIndex()), lanPort))
}

func lanRequest(_ *gateway, f family, mac []byte) []byte {
	return udp(mac, netip.AddrPortFrom(f.lan(), 5000), netip.AddrPortFrom(f.elsewhere(), 53))
}

func pingRequest(g *gateway, f family, mac []byte) []byte {
	proto, payload := echo(f.client(), f.own(g.lastIndex()))
	return frame(mac, f.client(), f.own(g.lastIndex()), proto, payload)
}

// repeatedRequest returns a segment that the gateway has acknowledged already, and at once acknowledges again.
func repeatedRequest(g *gateway, f family, mac []byte) []byte {
	c := g.open[f]
	return frame(mac, f.client(), f.own(g.lastIndex()), unix.IPPROTO_TCP,
		segment(c.client, c.host, c.sequence-1, c.acknowledged, 'x'))
}

func udp(mac []byte, src, dst netip.AddrPort) []byte {
	return frame(mac, src.Addr(), dst.Addr(), unix.IPPROTO_UDP, datagram(src, dst, 0xff, 0xff))
}

// link returns what a path's link is on the gateway.
func (g *gateway) link(name string) string {
	switch name {
	case outer:
		return g.last.Name
	case other:
		return uplinkName(0)
	}
	return name
}
