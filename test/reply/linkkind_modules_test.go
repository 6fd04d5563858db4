//go:build modules

package reply

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// moduleKinds are those that are modules, which not every kernel has: make test-modules boots Debian's.
var moduleKinds = map[string]linkKind{
	"VLAN":      {replaceLink: box.AsVLAN},
	"bond":      {replaceLink: box.AsBond, after: bondFailsOver},
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
