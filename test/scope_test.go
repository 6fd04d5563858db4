package test

import (
	"testing"

	"replypath/test/world"
)

func TestLinkScopeAddressRepliesByItsUplink(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1, noDefault: true}.build(t, 2, world.Options{}))
	u := b.Uplinks[1]
	b.shell("ip addr del 192.0.2.2/24 dev eth1", "ip addr add 192.0.2.2/24 dev eth1 scope link")
	serveAll(b.Gateway)
	b.apply()
	p := b.recordEgress()
	for _, to := range u.Addrs() {
		p.wantReplies(t, b.Client, u, to, world.Kinds)
	}
}
