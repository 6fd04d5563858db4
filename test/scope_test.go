package test

import (
	"testing"

	"replypath/test/world"
)

func TestAnAddressWithTheScopeOfItsLinkIsAnswered(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1, noDefault: true}.build(t, 2, world.Options{}))
	u := b.Uplinks[1]
	b.do("ip addr del 192.0.2.2/24 dev eth1", "ip addr add 192.0.2.2/24 dev eth1 scope link")
	serve(b.Gateway)
	b.apply()
	p := b.watch()
	for _, to := range u.Addrs() {
		p.ask(t, b.Client, u, to, world.Kinds)
	}
}
