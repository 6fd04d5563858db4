package test

import (
	"testing"

	"replypath/test/world"
)

// One address on two links, of which one is plugged in at a time, is what those do who have a spare wire.
func TestSharedAddressRepliesByTheUplinkThatIsUp(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1, noDefault: true}.build(t, 2, world.Options{}))
	u, spare := b.Uplinks[1], b.Uplinks[0]
	here := func() {
		b.shell("ip -6 addr replace 2001:db8:b::2/64 dev eth0 nodad", "ip -6 addr replace 2001:db8:a::2/64 dev eth0 nodad")
	}
	here()
	b.shell("ip addr add 192.0.2.2/24 dev eth0", "ip link set eth0 down")
	here()
	serveAll(b.Gateway)
	b.start()
	p := b.recordEgress()
	answered := func() {
		t.Helper()
		for i, to := range u.Addrs() {
			b.awaitRuleText(t, 4+2*i, "from "+to.String()+" lookup 8202", true)
			p.wantReplies(t, b.Client, u, to, world.Kinds)
		}
	}
	answered()
	b.shell("ip link set eth0 up")
	for i, to := range u.Addrs() {
		b.awaitRuleText(t, 4+2*i, "from "+to.String()+" lookup 8201", true)
	}
	spare.Wire.Down()
	answered()
	b.awaitInSync()
}
