package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"replypath/health"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// sweep is what moving many connections of an uplink takes, in milliseconds.
type sweep struct {
	kind      string
	wall, cpu sample
}

const (
	// sweptConnections are moved at once. Each destination port has a quarter, as one address has not enough source ports for all.
	sweptConnections = 100_000
	sweptPorts       = 4
	// leastSwept is less by those whose random source an earlier one had.
	leastSwept = sweptConnections * 99 / 100
)

// sweep drains an uplink with many connections.
func (f *failover) sweep(w *world.World, r run) {
	for i, kind := range []string{"translated", "untranslated"} {
		g := newGateway(w, "sweep-"+kind, 2)
		g.host.SetSysctl("net.netfilter.nf_conntrack_udp_timeout", "3600")
		g.more = g.policies([]string{"both", "off"}[i])
		s := serve(g.host, g.folder, quiet+g.configuration("nft", g.uplinks))
		g.sink(sinkAtEgress)
		all := g.sweptFlows()
		measured := sweep{kind: kind}
		for range r.changes + 1 {
			g.forget()
			for _, in := range all {
				in.receive(sweptConnections / len(all))
			}
			if n := g.tracked(); n < leastSwept {
				fatal("%s: %d connections of %d are tracked", g.name, n, sweptConnections)
			}
			began, before := time.Now(), s.spent()
			took(s.replypath("drain", "isp1", "--move"))
			move := s.drained("isp1", began)
			measured.cpu = append(measured.cpu, milliseconds(s.spent()-before))
			measured.wall = append(measured.wall, move.Milliseconds)
			if n := g.pinnedConnections(); n > 0 {
				fatal("%s: %d connections have still the mark of the uplink", g.name, n)
			}
			took(s.replypath("undrain", "isp1"))
		}
		s.end()
		f.sweeps = append(f.sweeps, measured)
		r.logf("%d connections, %s, are swept", sweptConnections, kind)
	}
}

// sweptFlows returns injectors of first packets of IPv4 from the LAN.
func (g *gateway) sweptFlows() (all []injector) {
	for i := range sweptPorts {
		all = append(all, g.lanFlows(4, serverPort+i))
	}
	return all
}

// lanFlows returns an injector of first packets from the LAN to a port on the Internet.
func (g *gateway) lanFlows(f family, port int) injector {
	to := netip.AddrPortFrom(f.elsewhere(), uint16(port))
	return newInjector(g.inner, udp(hardwareAddress(g.inner), netip.AddrPortFrom(f.unknownLAN(), 0), to), true)
}

// tracked returns the number of the gateway's connections.
func (g *gateway) tracked() (n int) {
	g.host.Do(func() {
		text, err := os.ReadFile("/proc/thread-self/net/stat/nf_conntrack")
		must(err, "%s: count connections", g.name)
		_, rest, _ := strings.Cut(string(text), "\n")
		entries, err := strconv.ParseInt(strings.Fields(rest)[0], 16, 64)
		must(err, "%s: count connections", g.name)
		n = int(entries)
	})
	return n
}

// pinnedConnections returns the number of connections that began inside and have the mark of an uplink.
func (g *gateway) pinnedConnections() (n int) {
	flag := uplinks.DefaultSettings().OutboundFlag()
	g.host.Do(func() {
		counts, err := rtnl.CountMarks(context.Background(), rtnl.MarkFilter{Family: uplinks.IPv4, Mark: marks.Mark(flag), Mask: flag})
		must(err, "%s: count connections", g.name)
		for _, some := range counts {
			n += some
		}
	})
	return n
}

// drained waits until the IPv4 connections of an uplink that is drained since then are moved, and returns how.
func (s *service) drained(uplink string, since time.Time) (move health.OutboundMove) {
	s.await("moving connections of "+uplink, func(now health.Status) bool {
		for _, u := range outboundUplinks(now) {
			if u.Uplink == uplink && u.Family == uplinks.IPv4 && u.LastMove != nil && u.LastMove.At.After(since) {
				move = *u.LastMove
				return true
			}
		}
		return false
	})
	if move.Connections < leastSwept {
		fatal("%d connections of %d were moved: %s", move.Connections, sweptConnections, fmt.Sprint(move))
	}
	return move
}
