package reply

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestLinkScopeAddressRepliesByItsUplink(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1, NoDefault: true}.Build(t, 2, world.Options{}))
	u := b.Uplinks[1]
	b.Shell("ip addr del 192.0.2.2/24 dev eth1", "ip addr add 192.0.2.2/24 dev eth1 scope link")
	box.ServeAll(b.Gateway)
	b.Apply()
	p := b.RecordEgress()
	for _, to := range u.Addrs() {
		p.WantReplies(t, b.Client, u, to, world.Kinds)
	}
}
