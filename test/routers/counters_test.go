package routers

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// counted are the first replies of an uplink in one family.
type counted struct{ symmetric, stray int }

// counters returns the counts that verify shows, by uplink and family, and the results about strays.
func (o *office) counters(t *testing.T) (counts map[string]counted, strays map[string]box.VerifyResult) {
	t.Helper()
	counts, strays = map[string]counted{}, map[string]box.VerifyResult{}
	for _, p := range o.Verify().Paths {
		if p.Seen == nil {
			t.Fatalf("the replies of %s %s are not counted", p.Uplink, p.Family)
		}
		counts[p.Uplink+" "+p.Family] = counted{p.Seen.Symmetric, p.Seen.Stray}
		strays[p.Uplink+" "+p.Family] = p.Strays
	}
	return counts, strays
}

// sendOnce sends requests by the host, each a new connection, that are answered, or are not.
func sendOnce(t *testing.T, from *world.Host, to netip.Addr, number int, answered bool) {
	t.Helper()
	for range number {
		q := box.NewRequest(world.KindUDP, to)
		q.NoResend, q.ExpectTimeout = true, !answered
		if a := from.Send(q); a.OK != answered {
			t.Errorf("%s to %s: %v", from.Name, to, a)
		}
	}
}

// The replies of each uplink are counted by the router that they leave by, although all leave by one interface. A host on the link
// is answered directly, which is right.
func TestRepliesAreCountedByRouter(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		dsl, cable, desk := o.Routers[0], o.Routers[1], o.desk()
		o.Gateway.ServeUDP(box.ServedPort, world.Pktinfo)
		o.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "0") // a request whose reply strays is to be delivered
		o.Apply()
		before, _ := o.counters(t)
		for i, to := range o.to() {
			sendOnce(t, dsl.Client, to, 3, true)
			sendOnce(t, cable.Client, to, 5, true)
			sendOnce(t, desk, to, 2, true)
			stray := []string{fmt.Sprintf("-%d", box.FamilyOf(to)), "rule", "add", "priority", "1", "to", []netip.Addr{cable.Client4, cable.Client6}[i].String(), "lookup", "8202"}
			o.Gateway.Run("ip", stray...)
			sendOnce(t, cable.Client, to, 1, false)
			stray[len(stray)-1] = "8201" // by another interface
			o.Gateway.Run("ip", stray...)
			stray[len(stray)-1], stray[2] = "8202", "del"
			o.Gateway.Run("ip", stray...)
			sendOnce(t, cable.Client, to, 1, false)
			stray[len(stray)-1] = "8201"
			o.Gateway.Run("ip", stray...)
		}
		after, strays := o.counters(t)
		for _, family := range []string{"ipv4", "ipv6"} {
			for uplink, want := range map[string]counted{"fibre": {}, "dsl": {3 + 2, 0}, "cable": {5, 2}} {
				key := uplink + " " + family
				if got := (counted{after[key].symmetric - before[key].symmetric, after[key].stray - before[key].stray}); got != want {
					t.Errorf("%s: %d right and %d stray replies are counted, want %d and %d", key, got.symmetric, got.stray, want.symmetric, want.stray)
				}
			}
			if got := strays["cable "+family]; got.Result != "no" || !strings.Contains(got.Why, "left by another interface or router") {
				t.Errorf("cable %s: %s", family, got)
			}
		}
		o.Must(0, "flush")
		if tables := o.Gateway.Run("nft", "list", "tables"); strings.Contains(tables, "replypath") {
			t.Errorf("flush has left: %s", tables)
		}
	})
}

// What another program does to the counters is repaired, and the counts of status and metrics go on.
func TestCountersByRouterAreRepaired(t *testing.T) {
	t.Parallel()
	o, cable := startKnowing(t, box.Backends[0])
	to := o.Addr4
	right := func() (n uint64) {
		for _, u := range o.ServiceStatus().Uplinks {
			for _, f := range u.Families {
				if u.Name == "cable" && f.Family.String() == "IPv4" {
					n = f.Proof.Replies.Symmetric
				}
			}
		}
		return n
	}
	sendOnce(t, cable.Client, to, 4, true)
	box.Eventually(t, box.EventualTimeout, "four replies are counted", func() bool { o.Must(0, "reload"); return right() >= 4 })
	for _, damage := range []string{"delete table inet replypath-routers", "flush chain inet replypath-routers uplink3"} {
		o.Gateway.Run("nft", damage)
		box.Eventually(t, box.EventualTimeout, "the table is back", func() bool {
			tables := o.Gateway.Run("nft", "list", "tables")
			return strings.Contains(tables, "replypath-routers") && strings.Contains(o.Gateway.Run("nft", "list", "chain", "inet", "replypath-routers", "uplink3"), "ip-seen3")
		})
	}
	counted := right()
	sendOnce(t, cable.Client, to, 2, true)
	box.Eventually(t, box.EventualTimeout, "the counts go on", func() bool { o.Must(0, "reload"); return right() == counted+2 })
}
