package reply

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Some setups move the kernel's first rule, so that a host can send to its own addresses by the wire. The warning about
// it comes true, and the remedy helps.
func TestMovedLocalRuleIsWarnedOf(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	box.ServeAll(b.Gateway)
	b.Shell("for f in -4 -6; do ip $f rule add priority 32765 lookup local; ip $f rule del priority 0; done")
	inside := []string{"198.18.0.1", "2001:db8:f::1"}
	for _, network := range []string{"198.18.0.0/24", "2001:db8:f::/64"} {
		b.Delegate(b.Uplinks[1], netip.MustParsePrefix(network))
	}
	b.Apply()
	output := b.Must(0, "plan").Stderr
	for i, family := range []string{"ip", "ip -6"} {
		q := box.NewRequest(world.KindPing, netip.MustParseAddr(inside[i]))
		q.ExpectTimeout = true
		if a := b.Client.Send(q); a.OK {
			t.Errorf("%s answers the client, and the warning is wrong", inside[i])
		}
		// Packets without a mark meet the rules of the operator alone.
		box.WantReplies(t, b.LAN, netip.MustParseAddr(inside[i]), []world.Kind{world.KindTCP, world.KindUDP, world.KindPing})
		_, remedy, found := strings.Cut(output, "where the kernel has it: "+family+" rule")
		if !found {
			t.Fatalf("the plan does not tell of %s: %s", family, output)
		}
		remedy, _, _ = strings.Cut(remedy, "\n")
		b.Shell(family + " rule" + remedy)
	}
	if r := b.Must(0, "plan"); r.Stderr != "" {
		t.Errorf("after the remedy: %s", r)
	}
	for _, a := range inside {
		box.WantReplies(t, b.Client, netip.MustParseAddr(a), []world.Kind{world.KindTCP, world.KindUDP, world.KindPing})
	}
	b.RecordEgress().WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP, world.KindPing})
}
