package test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"replypath/test/world"
)

// linkKind is a kind of link that the second uplink is.
type linkKind struct {
	replaceLink func(*world.Internet, *world.Uplink)
	gateway     string // as it is configured; empty: both addresses
	before      func(*box)
	after       func(*testing.T, *egress)
}

// autoGateways has the gateways learnt from the kernel's routes, or the link need none.
const autoGateways = `"auto"`

// linkKinds are those that every kernel has.
var linkKinds = map[string]linkKind{
	"bridge":                      {replaceLink: asBridge},
	"macvlan":                     {replaceLink: asMacvlan},
	"tun":                         {replaceLink: asTun, gateway: autoGateways},
	"a route by a nexthop object": {gateway: autoGateways, before: func(b *box) { b.defaultByObject("1") }},
	"a route by a nexthop object of which only the number is told": {gateway: autoGateways, before: func(b *box) { b.defaultByObject("0") }},
}

func TestEveryLinkKindWorksAsUplink(t *testing.T) { eachLinkKind(t, linkKinds) }

func eachLinkKind(t *testing.T, kinds map[string]linkKind) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, backend string) { k.test(t, backend) })
		})
	}
}

// test wants that without us replies stray, and with us none.
func (k linkKind) test(t *testing.T, backend string) {
	w := conditions{}.build(t, 2, world.Options{Spoofable: true, ReplaceLink: map[int]func(*world.Internet, *world.Uplink){1: k.replaceLink}})
	b := newBox(t, w, backend)
	if k.before != nil {
		k.before(b)
	}
	if k.gateway != "" {
		b.gatewayOf(1, k.gateway)
	}
	serveAll(b.Gateway)
	serveAll(b.LAN)
	p := b.watchClient()
	p.wantStrays(t, b.Uplinks[1])
	b.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	b.apply()
	p.wantRepliesFromAll(t, b.Client, world.Kinds)
	b.verify().wantOK(t, 2)
	if t.Failed() {
		return // each answer that does not come takes seconds
	}
	b.forward(b.LAN4, b.LAN6)
	p.wantRepliesFromAll(t, b.Client, dnatKinds)
	if k.after != nil {
		k.after(t, p)
	}
	b.must(0, "flush")
}

// watchClient watches the client's links: packets there have neither tags nor ciphers. The ISPs let pass what strays.
func (b *box) watchClient() *egress {
	p := &egress{box: b}
	for _, u := range b.Uplinks {
		p.wires = append(p.wires, u.ClientLink.Record())
	}
	return p
}

// wantStrays wants the replies of an uplink to leave by the other.
func (p *egress) wantStrays(t *testing.T, u *world.Uplink) {
	t.Helper()
	for _, to := range u.Addrs() {
		wantReplies(t, p.Client, to, []world.Kind{world.KindPing})
	}
	defer p.settle()()
	for _, to := range u.Addrs() {
		if p.wires[0].Count(repliesFrom(to)) == 0 {
			t.Errorf("replies from %s do not stray without us: this test shows nothing", to)
		}
	}
}

// asBridge makes the wire a port of a bridge.
func asBridge(in *world.Internet, u *world.Uplink) { u.Link = in.Gateway.Bridge("br1", u.Link) }

func asTun(in *world.Internet, u *world.Uplink) {
	u.Link, u.Side = in.JoinTun(in.Gateway, "tun1", u.ISP, "tun0")
}

// asMacvlan makes a macvlan on the wire, whose own end would answer ARP for it too.
func asMacvlan(in *world.Internet, u *world.Uplink) {
	in.Gateway.SetSysctl("net.ipv4.conf.eth1.arp_ignore", "1")
	u.Link = addLink(in.Gateway, "mac1", "link", u.Link.Name, "type", "macvlan", "mode", "bridge")
}

// addLink adds a link as ip(8) is told, and sets it up.
func addLink(h *world.Host, name string, what ...string) *world.Link {
	h.Run("ip", append([]string{"link", "add", "name", name}, what...)...)
	l := h.Link(name)
	l.Up()
	return l
}

// defaultByObject adds default routes by the second uplink whose next hops are objects of their own.
func (b *box) defaultByObject(compat string) {
	u := b.Uplinks[1]
	b.Gateway.SetSysctl("net.ipv4.nexthop_compat_mode", compat)
	for id, via := range map[string]string{"4": u.Router4.String(), "6": u.RouterLL.String()} {
		b.Gateway.Run("ip", "nexthop", "add", "id", id, "via", via, "dev", u.Link.Name)
		b.Gateway.Run("ip", "-"+id, "route", "add", "default", "nhid", id, "metric", "2000")
	}
}

// gatewayOf writes another gateway for an uplink.
func (b *box) gatewayOf(i int, gateway string) {
	b.t.Helper()
	text, err := os.ReadFile(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	u := b.Uplinks[i]
	b.write(strings.Replace(string(text), fmt.Sprintf("[%q, %q]", u.Router4, u.RouterLL), gateway, 1))
}
