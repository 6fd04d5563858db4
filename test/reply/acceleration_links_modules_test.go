//go:build modules

package reply

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// acceleratedKinds are kinds of links that are accelerated, each as the second uplink. The flow table is the same beside each
// backend, so they take turns.
var acceleratedKinds = map[string]struct {
	linkKind
	backend string
}{
	"VLAN":   {moduleKinds["VLAN"], box.Nftables},
	"bond":   {moduleKinds["bond"], box.Backends[0]},
	"bridge": {linkKinds["bridge"], box.Backends[1]},
}

// Connections from an uplink that is a VLAN, a bond or a bridge to hosts behind a bridge are accelerated, and neither changes nor
// the end of the flow table make a packet stray or a connection end.
func TestModulesAccelerateVLANsBondsAndBridges(t *testing.T) {
	for name, k := range acceleratedKinds {
		t.Run(name, func(t *testing.T) {
			w := box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{ReplaceLink: map[int]func(*world.Internet, *world.Uplink){1: k.replaceLink}})
			bridgeLAN(w)
			b := box.New(t, w, k.backend, "accelerate = true")
			second := b.Uplinks[1]
			services["with a host behind DNAT"](b)
			b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
			b.Delegate(second, netip.PrefixFrom(b.LAN4, 24).Masked())
			b.Delegate(second, netip.PrefixFrom(b.LAN6, 64).Masked())
			if r := b.Must(0, "check"); strings.Contains(r.Stderr, "leaves out") {
				t.Errorf("%s", r)
			}
			firewallOfBridges(b, "0")
			a := accelerate(b)
			a.connect(t, second.Addr4, second.Addr6, b.LAN4, b.LAN6)
			a.changesGateway(t, second)
			b.Gateway.Run("ip", "link", "set", "dev", second.Link.Name, "group", "7")
			b.Apply()
			a.wantAccelerated(t)
			if k.after != nil {
				second.Wire.Down()
				box.AwaitActivePort(b.Gateway, "eth1b")
				a.wantAccelerated(t)
			}
			s := b.Start()
			a.moves(t)
			s.Stop()
			// Then a bridge translates addresses before the flow table sees the packets, which take the rules again.
			firewallOfBridges(b, "1")
			a.exchange(t)
			a.wantUndisturbed(t)
			a.wantAlive(t)
			b.Must(0, "flush")
		})
	}
}

// firewallOfBridges makes what crosses bridges of the gateway meet iptables there, as Docker and Kubernetes do, or not.
func firewallOfBridges(b *box.Box, on string) {
	b.Gateway.Run("modprobe", "br_netfilter")
	b.Gateway.SetSysctl("net.bridge.bridge-nf-call-iptables", on)
	b.Gateway.SetSysctl("net.bridge.bridge-nf-call-ip6tables", on)
}

// bridgeLAN makes the gateway's link to the LAN a port of a bridge, which has its addresses.
func bridgeLAN(w *world.Internet) {
	w.Gateway.Run("ip", "addr", "flush", "dev", "lan0")
	w.LANLink = w.Gateway.Bridge("brlan0", w.LANLink)
	w.LANLink.Addr("198.18.0.1/24")
	w.LANLink.Addr("2001:db8:f::1/64")
}

// Connections by links that the flow table cannot have are not in it, check says why, and their replies leave by their uplink all the
// same; those by other links are accelerated beside.
func TestModulesLinksThatAreNotAcceleratedStillReply(t *testing.T) {
	for name, c := range map[string]struct {
		linkKind
		backend, accelerate, reason string
	}{
		"as PPP is":      {linkKinds["tun"], box.Nftables, "true", "tun1: it has no Ethernet header"},
		"macvlan":        {linkKinds["macvlan"], box.Backends[0], "true", "mac1: it is of the kind macvlan"},
		"VLAN and trunk": {moduleKinds["VLAN"], box.Backends[1], `["isp0", "isp1", "eth1", "lan0"]`, "eth1.100: it is a VLAN on eth1, which is accelerated too"},
	} {
		t.Run(name, func(t *testing.T) {
			w := box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{ReplaceLink: map[int]func(*world.Internet, *world.Uplink){1: c.replaceLink}})
			b := box.New(t, w, c.backend, "accelerate = "+c.accelerate)
			if c.gateway != "" {
				b.GatewayOf(1, c.gateway)
			}
			services["with a host behind DNAT"](b)
			b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
			for _, command := range []string{"check", "apply"} {
				if r := b.Must(0, command); !strings.Contains(r.Stderr, "accelerate leaves out "+c.reason) {
					t.Errorf("%s: %s", command, r)
				}
			}
			a := accelerate(b)
			a.connect(t, b.Uplinks[0].Addrs()...)
			other := &accelerated{Box: b, streams: map[netip.Addr]*world.Stream{}, strays: a.strays}
			other.open(t, b.Uplinks[1].Addrs()...)
			for range 30 { // more than two seconds, from which on UDP would be accelerated
				other.exchange(t)
				time.Sleep(100 * time.Millisecond)
			}
			before := a.forwarded(t)
			for range 20 {
				other.exchange(t)
			}
			other.wantUndisturbed(t)
			if after := a.forwarded(t); after[1]-before[1] < 2*20*len(other.sockets) || after[0]-before[0] < 100 {
				t.Errorf("%d packets of TCP and %d of UDP were forwarded by the rules", after[0]-before[0], after[1]-before[1])
			}
			other.wantAlive(t) // and ends, as what it sends is counted
			a.wantAccelerated(t)
			a.wantAlive(t)
		})
	}
}
