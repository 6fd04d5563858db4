package main

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/test/world"
)

// Paths of connections that hosts on the LAN begin, to the Internet by the last uplink, which translates their source.
var (
	pinned = path{name: "pinned", label: "from the LAN, established", from: inner, frame: lanDatagram, out: outer}
	answer = path{name: "answer", label: "its reply", from: outer, frame: serverDatagram, out: inner}
	begin  = path{name: "begin", label: "from the LAN, first packet", from: inner, varies: true, frame: newLANDatagram, out: outer}
)

// outboundPaths are those, and those of connections that begin outside.
var outboundPaths = paths{
	over:        nothingOutbound,
	established: []path{pinned, answer, reply, original, local},
	fresh:       []path{begin},
	opening:     []path{original, reply, original, reply, pinned, answer, pinned, answer},
}

const nothingOutbound = "no rules but NAT"

// Gateways whose LAN uses the last uplink: by main's default route, or as a program for several uplinks chooses.
var (
	natAlone    = variant{name: nothingOutbound, setup: byMain((*gateway).withoutRules)}
	withoutOut  = perBackend(variant{name: "replypath without [outbound]"}, func(g *gateway, b string) { byMain(func(g *gateway) { g.withReplypath(b) })(g) }, ourBackends)
	withOut     = perBackend(variant{name: "replypath with [outbound]"}, (*gateway).withPolicy, ourBackends)
	mwan3       = perBackend(variant{name: "mwan3's rules"}, (*gateway).withMwan3, backends)
	shoreByMain = perBackend(variant{name: shoreName, slow: true}, func(g *gateway, b string) { byMain(func(g *gateway) { g.withShorewall(b) })(g) }, backends)
)

// lanPort and serverPort of those connections. A source that is translated keeps its port.
const (
	lanSource  = 5001
	serverPort = 443
)

func lanDatagram(_ *gateway, f family, mac []byte) []byte {
	return udp(mac, netip.AddrPortFrom(f.lan(), lanSource), netip.AddrPortFrom(f.elsewhere(), serverPort))
}

func serverDatagram(g *gateway, f family, mac []byte) []byte {
	return udp(mac, netip.AddrPortFrom(f.elsewhere(), serverPort), netip.AddrPortFrom(f.own(g.lastIndex()), lanSource))
}

func newLANDatagram(_ *gateway, f family, mac []byte) []byte {
	return udp(mac, netip.AddrPortFrom(f.unknownLAN(), 0), netip.AddrPortFrom(f.elsewhere(), serverPort))
}

// byMain completes a set-up: main's default route is by the last uplink, and a table of nftables translates what leaves by it.
func byMain(setup func(*gateway)) func(*gateway) {
	return func(g *gateway) {
		g.preferred = g.lastIndex()
		for _, f := range families {
			ip(g.host, f, []string{"route replace default via " + f.router(g.lastIndex()).String()})
		}
		feed(g.host, fmt.Sprintf("table inet translation { chain post { type nat hook postrouting priority srcnat; iifname lan0 oifname %s masquerade; }; }\n",
			g.last.Name), "nft", "-f", "-")
		setup(g)
	}
}

// withPolicy sets the gateway up with a policy that prefers the last uplink. Main's default route is by the first.
func (g *gateway) withPolicy(backend string) {
	g.more = g.policies("both")
	g.withReplypath(backend)
}

// policies returns a table [outbound] with one policy: the last uplink, then the first.
func (g *gateway) policies(masquerade string) string {
	return fmt.Sprintf("[outbound]\ndefault = \"last\"\nmasquerade = %q\n[outbound.policies.last]\ntiers = [[\"isp%d\"], [\"isp0\"]]\n", masquerade, g.lastIndex())
}

// forOutbound returns the run of connections that begin inside.
func (r run) forOutbound() run {
	r.variants, r.uplinks, r.intercepting = r.outbound, r.outboundUplinks, nil
	return r
}

// measureOutbound measures the packets of connections that begin inside, and those of others beside them.
func measureOutbound(r run, to *results) {
	on(func(w *world.World) {
		p := newPackets(w, r.forOutbound(), outboundPaths)
		p.measure()
		for _, n := range p.run.uplinks {
			to.add(p.digest("CPU time", n))
		}
		to.requirements = append(to.requirements, p.outboundRequirements()...)
	})
}

const (
	// besideOutbound is what a packet may cost that [outbound] does not concern, over the same without that table.
	besideOutbound = 1.03
	// outboundOverReply is what a packet of an established connection that began inside may cost, over an established reply.
	outboundOverReply = 1
)

// has reports whether the variant is measured.
func (p *packets) has(v variant) bool {
	return slices.ContainsFunc(p.run.variants, func(other variant) bool { return other.name == v.name })
}

// outboundRequirements returns what must hold of connections that begin inside.
func (p *packets) outboundRequirements() (requirements []requirement) {
	_, most := p.run.extremes()
	for _, b := range ourBackends {
		if !p.has(withOut[b]) {
			continue
		}
		ours := withOut[b].name
		for _, f := range families {
			if p.has(withoutOut[b]) {
				for _, w := range []path{reply, original, local} {
					requirements = append(requirements, requirement{
						name:   fmt.Sprintf("%s, %s, %s: with [outbound] over without, %d uplinks", w.label, f, b, most),
						figure: p.work(w.name, ours, most, f).over(p.work(w.name, withoutOut[b].name, most, f)), bound: besideOutbound,
					})
				}
			}
			requirements = append(requirements, requirement{
				name:   fmt.Sprintf("%s, %s, %s: over an established reply, %d uplinks", pinned.label, f, b, most),
				figure: p.work(pinned.name, ours, most, f).over(p.work(reply.name, ours, most, f)), bound: outboundOverReply,
			})
			for _, theirs := range []variant{mwan3[b], shoreByMain[b]} {
				if p.has(theirs) {
					requirements = append(requirements, requirement{
						name:   fmt.Sprintf("%s, %s: %s over %s, %d uplinks", pinned.label, f, theirs.name, ours, most),
						figure: p.work(pinned.name, theirs.name, most, f).over(p.work(pinned.name, ours, most, f)), bound: 1, least: true,
					})
				}
			}
		}
	}
	return slices.DeleteFunc(requirements, func(c requirement) bool { return p.run.focused && len(c.figure) == 0 })
}
