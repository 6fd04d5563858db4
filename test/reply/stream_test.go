package reply

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// services are the servers of the connections. Without address translation, conntrack first sees connections to the gateway
// itself when our rules are added.
var services = map[string]func(*box.Box){
	"with the gateway": func(b *box.Box) { b.Gateway.ServeTCP(box.ServedPort) },
	"with a host behind DNAT": func(b *box.Box) {
		b.LAN.ServeTCP(box.ServedPort)
		b.AddDNAT(b.LAN4, b.LAN6)
	},
}

// eachTraffic runs a test with every service and with streams of each family, on a box that has not applied yet. The
// backends take turns.
func eachTraffic(t *testing.T, uplinks int, test func(t *testing.T, b *box.Box, family int)) {
	turn := 0
	for _, who := range slices.Sorted(maps.Keys(services)) {
		for _, family := range []int{4, 6} {
			backend := box.Backends[(turn+turn/2)%2]
			turn++
			t.Run(fmt.Sprintf("%s by IPv%d", who, family), func(t *testing.T) {
				b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, uplinks, world.Options{}), backend)
				services[who](b)
				test(t, b, family)
			})
		}
	}
}

func TestSymmetricConnectionsSurviveTheFirstApply(t *testing.T) {
	t.Parallel()
	eachTraffic(t, 2, func(t *testing.T, b *box.Box, family int) {
		f := b.StartConnections(t, family, b.Uplinks[0])
		b.Apply()
		f.WantUndisturbed(t)
		b.Must(0, "flush")
		f.WantUndisturbed(t)
		f.WantAlive(t)
	})
}

func TestConnectionsSurviveUplinkChanges(t *testing.T) {
	t.Parallel()
	eachTraffic(t, 3, func(t *testing.T, b *box.Box, family int) {
		first := b.Uplinks[:2]
		b.Configure(first...)
		b.Apply()
		f := b.StartConnections(t, family, first...)
		for _, uplinks := range [][]*world.Uplink{b.Uplinks, first} {
			b.Configure(uplinks...)
			b.Must(0, "apply")
			f.WantUndisturbed(t)
		}
		if r := b.Must(0, "apply"); !strings.Contains(r.Stdout, "in sync") {
			t.Errorf("apply with nothing to do: %s", r)
		}
		f.WantUndisturbed(t)
		f.WantAlive(t)
	})
}

// What is damaged may stray until it is repaired, and no longer; what is not damaged may not stray at all, also not
// while it is repaired beside it.
func TestConnectionsSurviveDamageAndRepair(t *testing.T) {
	t.Parallel()
	eachTraffic(t, 2, func(t *testing.T, b *box.Box, family int) {
		b.Apply()
		f := b.StartConnections(t, family, b.Uplinks...)
		first := b.Uplinks[0]
		ours := func(p world.Packet) bool { return p.From(first.Addr4) || p.From(first.Addr6) }
		for what, damage := range damages {
			began := time.Now()
			damage(b)
			if what == "rules gone" {
				if _, err := f.Strays[0].Wait(t.Context(), box.Stray); err != nil {
					t.Errorf("nothing strays without rules: the test proves nothing: %v", err)
				}
			}
			if r := b.Must(0, "apply"); strings.Contains(r.Stdout, "in sync") {
				t.Errorf("%s: apply: %s", what, r)
			}
			f.LongestOutage = max(f.LongestOutage, time.Since(began))
			f.Settle()
			if n := f.Strays[1].Count(ours); n != 0 {
				t.Errorf("%s: %d packets of the first uplink strayed, which main's default is by", what, n)
			}
			f.ResetStrays()
			f.WantUndisturbed(t)
			if t.Failed() {
				t.Fatalf("after: %s", what)
			}
		}
		f.WantAlive(t)
	})
}

// damages are what others do to us.
var damages = map[string]func(*box.Box){
	"rules gone": func(b *box.Box) {
		b.Gateway.Run("ip", "-4", "rule", "flush", "protocol", "82")
		b.Gateway.Run("ip", "-6", "rule", "flush", "protocol", "82")
	},
	"mangle emptied": func(b *box.Box) {
		for _, family := range []int{4, 6} {
			b.Iptables(family, "-t", "mangle", "-F")
			b.Iptables(family, "-t", "mangle", "-X")
		}
	},
	"a route gone": func(b *box.Box) {
		b.Gateway.Run("ip", "-4", "route", "del", "default", "table", "8202", "dev", "eth1")
		b.Gateway.Run("ip", "-6", "route", "del", "default", "table", "8202", "dev", "eth1")
	},
	"sysctls changed": func(b *box.Box) {
		b.Gateway.SetSysctl("net.ipv4.conf.eth1.src_valid_mark", "0")
		b.Gateway.SetSysctl("net.ipv4.tcp_fwmark_accept", "0")
	},
	"a link in another group": func(b *box.Box) { b.Gateway.Run("ip", "link", "set", "dev", "eth1", "group", "7") },
}
