package reply

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// linkKind is a kind of link that the second uplink is.
type linkKind struct {
	replaceLink func(*world.Internet, *world.Uplink)
	gateway     string // as it is configured; empty: both addresses
	before      func(*box.Box)
	after       func(*testing.T, *box.Egress)
}

// linkKinds are those that every kernel has.
var linkKinds = map[string]linkKind{
	"bridge":                      {replaceLink: asBridge},
	"macvlan":                     {replaceLink: asMacvlan},
	"tun":                         {replaceLink: asTun, gateway: box.AutoGateways},
	"a route by a nexthop object": {gateway: box.AutoGateways, before: func(b *box.Box) { defaultByObject(b, "1") }},
	"a route by a nexthop object of which only the id is dumped": {gateway: box.AutoGateways, before: func(b *box.Box) { defaultByObject(b, "0") }},
}

func TestEveryLinkKindWorksAsUplink(t *testing.T) { eachLinkKind(t, linkKinds) }

func eachLinkKind(t *testing.T, kinds map[string]linkKind) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			box.EachFirewall(t, func(t *testing.T, backend string) { k.test(t, backend) })
		})
	}
}

// test wants that without us replies stray, and with us none.
func (k linkKind) test(t *testing.T, backend string) {
	w := box.Conditions{}.Build(t, 2, world.Options{Spoofable: true, ReplaceLink: map[int]func(*world.Internet, *world.Uplink){1: k.replaceLink}})
	b := box.New(t, w, backend)
	if k.before != nil {
		k.before(b)
	}
	if k.gateway != "" {
		b.GatewayOf(1, k.gateway)
	}
	box.ServeAll(b.Gateway)
	box.ServeAll(b.LAN)
	p := b.RecordAtClient()
	wantStrays(t, p, b.Uplinks[1])
	b.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	b.Apply()
	p.WantRepliesFromAll(t, b.Client, world.Kinds)
	b.Verify().WantOK(t, 2)
	if t.Failed() {
		return // each answer that does not come takes seconds
	}
	b.AddDNAT(b.LAN4, b.LAN6)
	p.WantRepliesFromAll(t, b.Client, box.DNATKinds)
	if k.after != nil {
		k.after(t, p)
	}
	b.Must(0, "flush")
}

// wantStrays wants the replies of an uplink to leave by the other.
func wantStrays(t *testing.T, p *box.Egress, u *world.Uplink) {
	t.Helper()
	for _, to := range u.Addrs() {
		box.WantReplies(t, p.Client, to, []world.Kind{world.KindPing})
	}
	p.Settle()
	for _, to := range u.Addrs() {
		if p.Replies(0, to) == 0 {
			t.Errorf("replies from %s do not stray without replypath: the test proves nothing", to)
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
	u.Link = box.AddLink(in.Gateway, "mac1", "link", u.Link.Name, "type", "macvlan", "mode", "bridge")
}

// defaultByObject adds default routes by the second uplink whose next hops are objects of their own.
func defaultByObject(b *box.Box, compat string) {
	u := b.Uplinks[1]
	b.Gateway.SetSysctl("net.ipv4.nexthop_compat_mode", compat)
	for id, via := range map[string]string{"4": u.Router4.String(), "6": u.RouterLL.String()} {
		b.Gateway.Run("ip", "nexthop", "add", "id", id, "via", via, "dev", u.Link.Name)
		b.Gateway.Run("ip", "-"+id, "route", "add", "default", "nhid", id, "metric", "2000")
	}
}
