package test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"replypath/test/world"
)

// kind is a kind of link that the second uplink is.
type kind struct {
	over    func(*world.Internet, *world.Uplink)
	gateway string // as it is configured; empty: both addresses
	before  func(*box)
	after   func(*testing.T, *proof)
}

// learnt has the gateways learnt from the kernel's routes, or the link need none.
const learnt = `"auto"`

// kinds are those that every kernel has.
var kinds = map[string]kind{
	"bridge":                      {over: overBridge},
	"macvlan":                     {over: overMacvlan},
	"tun":                         {over: overTun, gateway: learnt},
	"a route by a nexthop object": {gateway: learnt, before: func(b *box) { b.defaultByObject("1") }},
	"a route by a nexthop object of which only the number is told": {gateway: learnt, before: func(b *box) { b.defaultByObject("0") }},
}

func TestEachKindOfLinkIsAnUplink(t *testing.T) { eachKind(t, kinds) }

func eachKind(t *testing.T, kinds map[string]kind) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, backend string) { k.answers(t, backend) })
		})
	}
}

// answers wants that without us replies stray, and with us none.
func (k kind) answers(t *testing.T, backend string) {
	w := conditions{}.build(t, 2, world.Options{Spoofable: true, Over: map[int]func(*world.Internet, *world.Uplink){1: k.over}})
	b := newBox(t, w, backend)
	if k.before != nil {
		k.before(b)
	}
	if k.gateway != "" {
		b.gatewayOf(1, k.gateway)
	}
	serve(b.Gateway)
	serve(b.LAN)
	p := b.watchClient()
	p.strays(t, b.Uplinks[1])
	b.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	b.apply()
	p.askAll(t, b.Client, world.Kinds)
	b.verify().right(t, 2)
	if t.Failed() {
		return // each answer that does not come takes seconds
	}
	b.forward(b.LAN4, b.LAN6)
	p.askAll(t, b.Client, forwarded)
	if k.after != nil {
		k.after(t, p)
	}
	b.must(0, "flush")
}

// watchClient watches the client's links: packets there have neither tags nor ciphers. The ISPs let pass what strays.
func (b *box) watchClient() *proof {
	p := &proof{box: b}
	for _, u := range b.Uplinks {
		p.wires = append(p.wires, u.ClientLink.Record())
	}
	return p
}

// strays wants the replies of an uplink to leave by the other.
func (p *proof) strays(t *testing.T, u *world.Uplink) {
	t.Helper()
	for _, to := range u.Addrs() {
		ask(t, p.Client, to, []world.Kind{world.AskPing})
	}
	defer p.settled()()
	for _, to := range u.Addrs() {
		if p.wires[0].Count(answers(to)) == 0 {
			t.Errorf("replies from %s do not stray without us: this test shows nothing", to)
		}
	}
}

// overBridge makes the wire a port of a bridge.
func overBridge(in *world.Internet, u *world.Uplink) { u.Link = in.Gateway.Bridge("br1", u.Link) }

func overTun(in *world.Internet, u *world.Uplink) {
	u.Link, u.Side = in.JoinTun(in.Gateway, "tun1", u.ISP, "tun0")
}

// overMacvlan makes a macvlan on the wire, whose own end would answer ARP for it too.
func overMacvlan(in *world.Internet, u *world.Uplink) {
	in.Gateway.SetSysctl("net.ipv4.conf.eth1.arp_ignore", "1")
	u.Link = added(in.Gateway, "mac1", "link", u.Link.Name, "type", "macvlan", "mode", "bridge")
}

// added adds a link as ip(8) is told, and sets it up.
func added(h *world.Host, name string, what ...string) *world.Link {
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
