package reply

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// behindSecondRouter are hosts behind a second router on an uplink's link, which the gateway does not know.
var behindSecondRouter = []string{"198.18.77.1", "2001:db8:77::1"}

func TestReplyToANetworkBehindAnotherRouterOfTheUplink(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{Neighbours: []int{1}}))
	u, routers, prefixes := b.Uplinks[1], []string{"192.0.2.77", "2001:db8:b::77"}, []string{"/32", "/128"}
	box.ServeAll(b.Gateway)
	for i, a := range behindSecondRouter {
		u.Neighbour.Link("lo").Addr(a + prefixes[i])
		b.Gateway.Run("ip", "route", "add", a, "via", routers[i], "dev", "eth1")
	}
	wantRepliesBehindSecondRouter(t, b)
	b.Apply()
	for i, a := range behindSecondRouter {
		output := b.Must(0, "plan").Stderr
		_, rest, found := strings.Cut(output, a+prefixes[i]+" via "+routers[i])
		_, remedy, _ := strings.Cut(rest, "where it stays: ")
		remedy, _, _ = strings.Cut(remedy, "\n")
		if !found || !strings.HasSuffix(remedy, "table 8202") {
			t.Fatalf("the plan names neither %s nor a remedy: %s", a, output)
		}
		b.Shell(remedy)
	}
	if r := b.Must(0, "plan"); r.Stderr != "" {
		t.Errorf("after the remedy: %s", r)
	}
	wantRepliesBehindSecondRouter(t, b)
	b.Must(0, "flush")
	if left := b.Gateway.Run("ip", "route", "show", "table", "8202"); !strings.Contains(left, behindSecondRouter[0]) {
		t.Errorf("the operator's route went with ours: %s", left)
	}
}

// wantRepliesBehindSecondRouter wants answers at the hosts behind the second router.
func wantRepliesBehindSecondRouter(t *testing.T, b *box.Box) {
	t.Helper()
	for i, to := range b.Uplinks[1].Addrs() {
		for _, kind := range []world.Kind{world.KindTCP, world.KindUDP, world.KindPing} {
			q := box.NewRequest(kind, to)
			q.From = netip.AddrPortFrom(netip.MustParseAddr(behindSecondRouter[i]), 0)
			if a := b.Uplinks[1].Neighbour.Send(q); !a.OK {
				t.Errorf("%s from %s: %v", kind, behindSecondRouter[i], a)
			}
		}
	}
}
