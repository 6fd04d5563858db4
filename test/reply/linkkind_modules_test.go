//go:build modules

package reply

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// moduleKinds are those that are modules, which not every kernel has: make test-modules boots Debian's.
var moduleKinds = map[string]linkKind{
	"VLAN":      {replaceLink: box.AsVLAN},
	"bond":      {replaceLink: box.AsBond, after: bondFailsOver},
	"ipvlan":    {replaceLink: box.AsIPvlan},
	"WireGuard": {replaceLink: box.AsWireGuard, gateway: box.AutoGateways},
}

func TestModulesMakeUplinks(t *testing.T) { eachLinkKind(t, moduleKinds) }

func bondFailsOver(t *testing.T, p *box.Egress) {
	u := p.Uplinks[1]
	u.Wire.Down()
	box.AwaitActivePort(p.Gateway, "eth1b")
	for _, to := range u.Addrs() {
		p.WantReplies(t, p.Client, u, to, world.Kinds)
	}
}

// What leaves by an ipvlan in mode l3 or l3s is routed once more, by the link below, and no reply reaches its client. Such an uplink is left
// out, with the remedy, which is right; the other one is not disturbed.
func TestModulesRoutedIPvlanIsLeftOut(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		w := box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{ReplaceLink: map[int]func(*world.Internet, *world.Uplink){1: box.AsIPvlan}})
		b := box.New(t, w, backend)
		box.ServeAll(b.Gateway)
		first, second := b.Uplinks[0], b.Uplinks[1]
		b.Apply()
		p := b.RecordEgress()
		p.WantRepliesFromAll(t, b.Client, world.Kinds)
		for _, mode := range []string{"l3", "l3s"} {
			b.Gateway.Run("ip", "link", "set", "dev", second.Link.Name, "type", "ipvlan", "mode", mode)
			for _, command := range []string{"check", "apply"} {
				r := b.Must(3, command)
				for _, family := range []string{"IPv4", "IPv6"} {
					want := "uplink isp1: " + family + " is left out: " + second.Link.Name + " is an ipvlan in mode l3"
					if !strings.Contains(r.Stderr, want) || strings.Contains(r.Stderr, "isp0: ") {
						t.Errorf("mode %s, %s: %s", mode, command, r)
					}
				}
			}
			for _, path := range b.Verify().Paths {
				if (path.Asked.Result == "yes") != (path.Uplink == "isp0") {
					t.Errorf("mode %s: verify says %s of %s", mode, path.Asked.Result, path.Uplink)
				}
			}
			for _, to := range first.Addrs() {
				p.WantReplies(t, b.Client, first, to, world.Kinds)
			}
		}
		b.Shell("ip link set dev " + second.Link.Name + " type ipvlan mode l2")
		b.Apply()
		p.WantRepliesFromAll(t, b.Client, world.Kinds)
		b.Must(0, "flush")
	})
}
