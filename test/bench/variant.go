package main

import (
	"fmt"
	"slices"
	"strings"
)

// variant is a way to set up a gateway.
type variant struct {
	name    string
	class   string // in the chart
	backend string // none for one without
	slow    bool   // to set up
	setup   func(g *gateway)
}

// Names of variants that others are compared with.
const (
	nothing = "no rules"
	floor   = "one ip rule"
	alone   = "injection alone"

	ourName   = "replypath"
	otherName = "the other replypath"
	blogName  = "blog recipe"
	shoreName = "Shorewall 5.2"
)

var (
	bare    = variant{name: nothing, setup: (*gateway).withoutRules}
	oneRule = variant{name: floor, class: "floor", setup: (*gateway).withOneRule}
	counted = variant{name: alone, setup: (*gateway).withoutRules}
	ours    = perBackend(variant{name: ourName, class: "ours"}, (*gateway).withReplypath, ourBackends)
	others  = perBackend(variant{name: otherName, class: "ours"}, (*gateway).withOther, ourBackends)
	blog    = perBackend(variant{name: blogName, class: "blog"}, (*gateway).withBlogRecipe, backends)
	shore   = perBackend(variant{name: shoreName, class: "shore", slow: true}, (*gateway).withShorewall, backends)

	accelerated = variant{name: ourName + ", accelerated", class: "ours", setup: func(g *gateway) { g.accelerate = true; g.withReplypath(native) }}
)

// native is the backend that needs no iptables.
const native = "nftables"

// backends are those of iptables, which others have too; ourBackends are those of replypath.
var (
	backends    = []string{"legacy", "nft"}
	ourBackends = append(slices.Clone(backends), native)
)

func perBackend(v variant, setup func(*gateway, string), names []string) map[string]variant {
	of := map[string]variant{}
	for _, b := range names {
		with := v
		with.name, with.backend = v.name+", "+b, b
		with.setup = func(g *gateway) { setup(g, b) }
		of[b] = with
	}
	return of
}

// forwardings send requests for lanPort to the LAN host, the same for every variant but Shorewall, which brings its
// own.
func (g *gateway) forwardings() {
	var table strings.Builder
	table.WriteString("table inet forwardings {\n chain pre { type nat hook prerouting priority dstnat;\n")
	for _, proto := range []string{"tcp", "udp"} {
		for _, f := range families {
			fmt.Fprintf(&table, "  iifname %s meta nfproto %s %s dport %d dnat %s to %s\n",
				g.last.Name, strings.ToLower(f.String()), proto, lanPort, f.nft(), f.lan())
		}
	}
	table.WriteString(" }\n chain established { type filter hook forward priority filter; ct state established,related accept; }\n}\n")
	feed(g.host, table.String(), "nft", "-f", "-")
}

// withoutRules routes everything by the last uplink.
func (g *gateway) withoutRules() {
	g.forwardings()
	for _, f := range families {
		ip(g.host, f, []string{"route replace default via " + f.router(g.lastIndex()).String()})
	}
}

// withOneRule adds a rule that never matches. Any rule ends a shortcut of the kernel: less is not possible for a program that
// routes by rules.
func (g *gateway) withOneRule() {
	g.withoutRules()
	for _, f := range families {
		ip(g.host, f, []string{"rule add priority 500 fwmark 0xdead lookup 9"})
	}
}
