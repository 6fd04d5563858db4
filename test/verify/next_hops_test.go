package verify

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A rule of another program leads the replies of an uplink to a route with several next hops: a hash of the addresses chooses, so that some
// clients get none, though those of one proof may.
func TestVerifyFindsRoutesByHash(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	b.Verify().WantOK(t, 2)
	for _, family := range []string{"4", "6"} {
		u0, u1 := b.Uplinks[0], b.Uplinks[1]
		via0, via1 := u0.Router4.String(), u1.Router4.String()
		if family == "6" {
			via0, via1 = u0.RouterLL.String(), u1.RouterLL.String()
		}
		b.Shell("ip -"+family+" route add default table 99 nexthop via "+via1+" dev eth1 nexthop via "+via0+" dev eth0", "ip -"+family+" rule add pref 90 fwmark 0x200/0x1f00 lookup 99")
	}
	for range 3 { // each has its own peers
		v := b.Verify()
		for _, family := range []int{4, 6} {
			if p := v.Path(b.Uplinks[1], family); p.Verdict.Short() != "no rule-shadowed" || !strings.Contains(p.Asked.Why, "several next hops") || !strings.Contains(p.Verdict.Why, "priority 90") {
				t.Errorf("IPv%d: %s, asked %s", family, p.Verdict, p.Asked)
			}
			v.Path(b.Uplinks[0], family).WantOK(t)
		}
	}
}
