package reply

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// One address on two links, of which one is plugged in at a time: a spare wire.
func TestSharedAddressRepliesByTheUplinkThatIsUp(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1, NoDefault: true}.Build(t, 2, world.Options{}))
	u, spare := b.Uplinks[1], b.Uplinks[0]
	here := func() {
		b.Shell("ip -6 addr replace 2001:db8:b::2/64 dev eth0 nodad", "ip -6 addr replace 2001:db8:a::2/64 dev eth0 nodad")
	}
	here()
	b.Shell("ip addr add 192.0.2.2/24 dev eth0", "ip link set eth0 down")
	here()
	box.ServeAll(b.Gateway)
	b.Start()
	p := b.RecordEgress()
	answered := func() {
		t.Helper()
		for i, to := range u.Addrs() {
			b.AwaitRuleText(t, 4+2*i, "from "+to.String()+" lookup 8202", true)
			p.WantReplies(t, b.Client, u, to, world.Kinds)
		}
	}
	answered()
	b.Shell("ip link set eth0 up")
	for i, to := range u.Addrs() {
		b.AwaitRuleText(t, 4+2*i, "from "+to.String()+" lookup 8201", true)
	}
	spare.Wire.Down()
	answered()
	b.AwaitInSync()
}
