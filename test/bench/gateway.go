package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"replypath/test/world"
)

// gateway is a host with many uplinks, wan0 and on, and a LAN. Requests come in by its last uplink: the worst case
// for rules that are evaluated one by one.
type gateway struct {
	name              string
	uplinks           int
	host, client, lan *world.Host
	inner             *world.Link // the gateway's end towards the LAN host
	last              *world.Link // the gateway's end towards the client
	folder            string      // for the configuration and state of what is put onto it
	variant           variant
	anyRouter         string // the link on which routers are found; empty: none
	accelerate        bool   // established connections go by replypath's flow table
	more              string // of the configuration
	preferred         int    // the index of the uplink of main's default route
	program           string // that set it up; empty: the one that is measured
	injectors         map[family]map[string]injector
	open              map[family]connection
}

func uplinkName(index int) string { return fmt.Sprintf("wan%d", index) }

func (g *gateway) lastIndex() int { return g.uplinks - 1 }

func newGateway(w *world.World, name string, uplinks int) *gateway {
	folder, err := os.MkdirTemp("/run", "bench-")
	must(err, "folder for %s", name)
	g := &gateway{name: name, uplinks: uplinks, folder: folder, open: map[family]connection{}, injectors: map[family]map[string]injector{},
		host: w.Host(name), client: w.Host(name + "-client"), lan: w.Host(name + "-lan")}
	g.host.Forward()
	g.inner, _ = w.Join(g.host, "lan0", g.lan, "eth0")
	for i := range g.lastIndex() {
		w.Join(g.host, uplinkName(i), g.client, fmt.Sprintf("port%d", i))
	}
	g.last, _ = w.Join(g.host, uplinkName(g.lastIndex()), g.client, "eth0")
	for _, f := range families {
		ip(g.host, f, g.addresses(f))
		ip(g.client, f, g.clientSide(f))
		ip(g.lan, f, g.lanSide(f))
	}
	return g
}

// addresses returns the gateway's, its neighbours', and its default route by the first uplink.
func (g *gateway) addresses(f family) []string {
	lines := []string{address(f.inner(), "lan0")}
	for i := range g.uplinks {
		lines = append(lines, address(f.own(i), uplinkName(i)))
	}
	return append(lines,
		neighbour(f.lan(), g.inner),
		neighbour(f.router(0), g.host.Link(uplinkName(0))),
		neighbour(f.router(g.lastIndex()), g.last),
		"route add default via "+f.router(0).String())
}

// clientSide returns where all uplinks lead: the client, and the router of each uplink, which answers but leads nowhere
// unless it is the last one's.
func (g *gateway) clientSide(f family) (lines []string) {
	for i := range g.lastIndex() {
		lines = append(lines, address(f.router(i), g.host.Link(uplinkName(i)).Peer.Name))
	}
	return append(lines,
		address(f.router(g.lastIndex()), "eth0"),
		address(f.client(), "eth0"),
		neighbour(f.own(g.lastIndex()), g.last.Peer),
		"route add default via "+f.own(g.lastIndex()).String())
}

func (g *gateway) lanSide(f family) []string {
	return []string{
		address(f.lan(), "eth0"),
		neighbour(f.inner(), g.inner.Peer),
		"route add default via " + f.inner().String(),
	}
}

// address adds one that can be used at once.
func address(a netip.Addr, link string) string {
	if a.Is4() {
		return fmt.Sprintf("addr add %s/24 dev %s", a, link)
	}
	return fmt.Sprintf("addr add %s/64 dev %s nodad", a, link)
}

// neighbour adds a permanent neighbour.
func neighbour(a netip.Addr, link *world.Link) string {
	return fmt.Sprintf("neigh replace %s lladdr %s dev %s", a, hardwareAddress(link.Peer), link.Name)
}

// ip gives ip(8) lines to do on the host.
func ip(h *world.Host, f family, lines []string) {
	if len(lines) > 0 {
		feed(h, strings.Join(lines, "\n")+"\n", "ip", fmt.Sprintf("-%d", f), "-batch", "-")
	}
}

// feed runs a program on the host with a text to read.
func feed(h *world.Host, text string, name string, args ...string) {
	c := h.Command(context.Background(), name, args...)
	var errout bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(text), &errout, &errout
	must(c.Run(), "%s# %s %s\n%s", h.Name, name, strings.Join(args, " "), &errout)
}

func hardwareAddress(l *world.Link) (mac net.HardwareAddr) {
	l.Host.Do(func() {
		link, err := net.InterfaceByName(l.Name)
		must(err, "hardware address of %s", l.Name)
		mac = link.HardwareAddr
	})
	return mac
}
