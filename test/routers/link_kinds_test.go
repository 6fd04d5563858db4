package routers

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// lowerLink is the name of the link to the switch while the shared link is above it.
const lowerLink = "under1"

// linkKind makes the shared link anew, under its name, above its lower link.
type linkKind struct {
	name     string
	filtered bool // what crosses the link meets the firewall
	make     func(t *testing.T, o *office, lower *world.Link) *world.Link
	unmake   func(o *office) // what is left when the link is deleted
}

// nothingLeft removes nothing: of some kinds nothing is left.
func nothingLeft(*office) {}

// linkKinds are those that every kernel has.
var linkKinds = []linkKind{
	{name: "bridge", unmake: nothingLeft, make: func(_ *testing.T, o *office, lower *world.Link) *world.Link { return o.bridge(lower, "0") }},
	{name: "bridge with a firewall", filtered: true, unmake: nothingLeft, make: func(_ *testing.T, o *office, lower *world.Link) *world.Link { return o.bridge(lower, "1") }},
	{name: "macvlan", unmake: nothingLeft, make: func(_ *testing.T, o *office, lower *world.Link) *world.Link {
		return box.AddLink(o.Gateway, "eth1", "link", lower.Name, "type", "macvlan", "mode", "private")
	}},
	{name: "veth", make: func(_ *testing.T, _ *office, lower *world.Link) *world.Link {
		lower.Rename("eth1")
		return lower
	}},
}

// lower takes the addresses and the name of the shared link away, and returns it.
func (o *office) lower() *world.Link {
	o.Gateway.Run("ip", "addr", "flush", "dev", "eth1")
	o.Link.Rename(lowerLink)
	return o.Link
}

// bridge returns a bridge with the lower link and that of a virtual machine as its ports. What crosses the
// bridge meets the firewall, or does not.
func (o *office) bridge(lower *world.Link, filtered string) *world.Link {
	o.filterBridges(filtered)
	return o.Gateway.Bridge("eth1", lower, o.Gateway.Link("vm0"))
}

// filterBridges makes the frames of bridges meet the firewall, "1", or not, "0".
func (o *office) filterBridges(value string) {
	for _, key := range []string{"net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"} {
		o.Gateway.SetSysctl(key, value)
	}
}

// machine returns a host behind a link of the gateway's, such as a virtual machine, which reaches the clients by their routers while the
// link is a port of the shared bridge.
func (o *office) machine() *world.Host {
	h := o.Host("vm")
	_, link := o.Join(o.Gateway, "vm0", h, "eth0")
	link.LinkLocal("fe80::77")
	link.Addr("192.0.2.77/24", "2001:db8:b::77/64")
	for _, r := range o.Routers {
		h.AddRoute(world.Route{To: netip.PrefixFrom(r.Client4, 32), Via: r.Addr4, Link: link})
		h.AddRoute(world.Route{To: netip.PrefixFrom(r.Client6, 128), Via: r.LL, Link: link})
	}
	box.ServeAll(h)
	return h
}

// wantAcrossBridge wants connections across the bridge in both directions.
func (o *office) wantAcrossBridge(t *testing.T, machine *world.Host) {
	t.Helper()
	for _, r := range o.Routers {
		for _, to := range []netip.Addr{r.Client4, r.Client6} {
			box.WantReplies(t, machine, to, []world.Kind{world.KindTCP, world.KindPing})
		}
		for _, to := range []string{"192.0.2.77", "2001:db8:b::77"} {
			box.WantReplies(t, r.Client, netip.MustParseAddr(to), kinds)
		}
	}
}

// undisturbed are connections by the other link, which must not notice what happens to the shared one.
type undisturbed struct {
	datagrams *box.DatagramLoad
	streams   []*world.Stream
}

// wantFiltered wants connections across a bridge whose frames meet the firewall, the proof, and requests that are routed to the host inside,
// although no classifier is there, as doctor says: behind the rules it would clear the marks. It is when the frames meet the firewall no more.
func (o *office) wantFiltered(t *testing.T, machine *world.Host) {
	t.Helper()
	o.wantAcrossBridge(t, machine)
	o.wantProof(t)
	o.WantFinding(o.RunDoctor(), box.IsWarning, "uplinks", "on eth1: its frames meet the firewall before a program", "net.bridge.bridge-nf-call-iptables=0")
	for i, to := range []netip.Addr{o.LAN4, o.LAN6} {
		for _, r := range o.Routers {
			r.AddRoute(world.Route{To: netip.PrefixFrom(to, to.BitLen()), Via: o.to()[i], Link: r.Link})
			box.WantReplies(t, r.Client, to, kinds)
		}
	}
	o.filterBridges("0")
	box.Eventually(t, box.EventualTimeout, "there is a classifier", func() bool { return len(o.Gateway.Pins("ingress", "link_")) == 1 })
}

// connectByOther begins connections by the other link.
func (o *office) connectByOther(t *testing.T) undisturbed {
	t.Helper()
	var u undisturbed
	var sockets []*net.UDPConn
	for i, to := range o.Uplinks[0].Addrs() {
		from := netip.AddrPortFrom([]netip.Addr{o.Client4, o.Client6}[i], 30000)
		sockets = append(sockets, o.Connected(o.Client, from, netip.AddrPortFrom(to, box.ServedPort)))
		s, err := o.Client.StreamAt(box.NewRequest(world.KindTCP, to), paceOfOther)
		if err != nil {
			t.Fatal(err)
		}
		u.streams = append(u.streams, s)
	}
	u.datagrams = box.StartDatagrams(sockets...)
	return u
}

// paceOfOther is how many bytes a stream by the other link sends in a second.
const paceOfOther = 100_000

// want wants no datagram to have been lost, and the streams to go on.
func (u undisturbed) want(t *testing.T) {
	t.Helper()
	u.datagrams.End(t, "by the other link")
	for _, s := range u.streams {
		if err := s.Await(t.Context(), paceOfOther); err != nil {
			t.Errorf("by the other link: %v", err)
		}
		s.Stop()
	}
}

// TestSharedLinkOfEachKind replaces the shared link while the service runs: by a bridge, by one whose frames meet the firewall, by a
// macvlan, and by the first one. Each time the routers that are configured get their replies, one that is found too, and what a second
// router of an uplink forwards, which has an address in routers, is answered by its gateway; a connection that is open goes on. So it is
// once more when all routers have other hardware addresses and the rules do not follow. Connections by the other link do not notice it,
// and nor do those across the bridge.
func TestSharedLinkOfEachKind(t *testing.T) {
	t.Parallel()
	replaceSharedLink(t, linkKinds)
}

// use gives another link the addresses of the shared one, and waits until the rules know all routers on it.
func (o *office) use(t *testing.T, l *world.Link, second *secondRouter) {
	t.Helper()
	o.Link = l
	l.LinkLocal("fe80::2")
	l.Addr("192.0.2.2/24", "2001:db8:b::2/64")
	second.link.Host.Run("ip", "neigh", "flush", "dev", "w0") // each link has another hardware address
	o.awaitRouter(t, second.mac.String())
	for _, r := range o.Routers {
		r.Run("ip", "neigh", "flush", "dev", "w0")
		o.awaitRouter(t, r.MAC)
	}
	o.AwaitInSync()
}

// replaceSharedLink replaces the shared link by one of each kind in turn.
func replaceSharedLink(t *testing.T, kinds []linkKind) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		second := o.addSecondRouter()
		o.configure(`routers = "any"`, second.setting())
		box.ServeAll(o.Gateway)
		box.ServeAll(o.LAN)
		machine := o.machine()
		for _, r := range o.Routers {
			r.Client.ServeTCP(box.ServedPort)
		}
		s := o.Start()
		t.Cleanup(func() { <-s.Ended })
		other := o.connectByOther(t)
		var held []*world.Connections
		for _, to := range o.to() {
			h, err := o.Routers[1].Client.Connect(box.NewRequest(world.KindTCP, to), 1)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, h)
		}
		lower := o.lower()
		for i, kind := range kinds {
			t.Run(kind.name, func(t *testing.T) {
				o.T = t
				o.use(t, kind.make(t, o, lower), second)
				o.wantReplies(t)
				second.wantReplies(t, "when the rules know all routers")
				p, found := o.pingerBy(t), routerMAC(7+i)
				p.awaitReplies(t, found)
				p.wantReplies(t, found)
				if kind.filtered {
					o.wantFiltered(t, machine)
				}
				second.wantClassified(t, s, i)
				other.datagrams.Goes(t, 3)
				if i == len(kinds)-1 {
					return
				}
				o.Link.Delete()
				kind.unmake(o)
			})
		}
		o.T = t
		other.want(t)
		for _, h := range held {
			if h.Alive(time.Minute) != 1 {
				t.Error("a connection that began before does not go on")
			}
			h.Close()
		}
	})
}
