package verify

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// laterReplyCases are rules in POSTROUTING that write marks of connections there: the first reply has been routed.
var laterReplyCases = map[string]struct {
	plant  string
	want   string // the verdict of eth1
	reason []string
	strays bool // a second reply leaves by another uplink
}{
	"mangle sets eth0's mark": {
		plant: "IPT -t mangle -A POSTROUTING -j CONNMARK --set-xmark 0x100/0x1f00",
		want:  "no mark-not-saved", reason: []string{"in POSTROUTING", "has the mark 0x100 instead of the mark 0x200", "would leave by eth0", "--set-xmark 0x100/0x1f00"}, strays: true,
	},
	"nft sets eth0's mark": {
		plant: "nft 'table FAMILY other { chain post { type filter hook postrouting priority 50; ct mark set 0x100; }; }'",
		want:  "no mark-not-saved", reason: []string{"in POSTROUTING", "would leave by eth0", "other post"}, strays: true,
	},
	"nft clears the mark": {
		plant: "nft 'table FAMILY other { chain post { type filter hook postrouting priority 50; ct mark set 0; }; }'",
		want:  "yes mark-not-saved", reason: []string{"has no mark instead of the mark 0x200", "later replies leave by eth1 all the same"},
	},
	"mangle sets bits of another program": {
		plant: "IPT -t mangle -A POSTROUTING -j CONNMARK --set-xmark 0x40000/0xff0000", want: "yes",
	},
	"mangle saves the whole mark of packets": {
		plant: "IPT -t mangle -A POSTROUTING -j CONNMARK --save-mark", want: "yes",
	},
}

// TestVerifyShowsThatLaterRepliesStray plants rules by which the first reply of a connection is right and later ones, which the host sends
// before the next packet of the client, may not be.
func TestVerifyShowsThatLaterRepliesStray(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for name, c := range laterReplyCases {
			t.Run(name, func(t *testing.T) {
				w := world.TwoISPs(t)
				b := box.New(t, w, backend)
				b.Apply()
				second := w.Uplinks[1]
				for _, family := range []int{4, 6} {
					b.Shell(strings.NewReplacer("IPT", b.IptablesName(family), "FAMILY", map[int]string{4: "ip", 6: "ip6"}[family]).Replace(c.plant))
					if got := secondReplyStrays(b, family); got != c.strays {
						t.Errorf("IPv%d: a second reply strays: %t", family, got)
					}
					p := b.Verify().Path(second, family)
					if got := p.Shown.Short(); got != c.want {
						t.Errorf("IPv%d: %s, want %s", family, p.Shown, c.want)
					}
					for _, part := range c.reason {
						if !strings.Contains(fmt.Sprint(p.Shown), part) {
							t.Errorf("IPv%d: %q is not in %s", family, part, p.Shown)
						}
					}
				}
				b.Verify().Path(w.Uplinks[0], 4).WantOK(t)
			})
		}
	})
}

// secondReplyStrays sends a datagram to eth1 and two replies to it, the first of which leaves by eth1, and reports whether the second leaves
// by eth0.
func secondReplyStrays(b *box.Box, family int) bool {
	b.T.Helper()
	to := map[int]netip.Addr{4: b.Uplinks[1].Addr4, 6: b.Uplinks[1].Addr6}[family]
	server := netip.AddrPortFrom(to, b.ClientPort())
	client := netip.AddrPortFrom(b.ClientAddr(to), b.ClientPort())
	replies := func(u *world.Uplink) *world.Recorder {
		return u.Wire.Record(func(p world.Packet) bool { return p.Proto == world.UDP && p.Src == to && p.SrcPort == server.Port() })
	}
	wrong, right := replies(b.Uplinks[0]), replies(b.Uplinks[1])
	inside, outside := b.Connected(b.Gateway, server, client), b.Connected(b.Client, client, server)
	b.Echo(inside)
	if err := box.Exchange(outside); err != nil {
		b.T.Fatal(err)
	}
	if _, err := inside.Write([]byte("second")); err != nil {
		b.T.Fatal(err)
	}
	b.Settle()
	if all := len(wrong.Packets()) + len(right.Packets()); all != 2 || len(right.Packets()) == 0 {
		b.T.Fatalf("by eth0 %v, by eth1 %v", wrong.Packets(), right.Packets())
	}
	return len(wrong.Packets()) > 0
}
