package reply

import (
	"os"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// An uplink with addresses of both families has a learnt default route in one of them. Replies from its address of the other
// family reach their client by main, as the provider there accepts them. What init proposes keeps it so.
func TestInitLeavesAFamilyWithoutADefaultRouteAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		route, want string
		other       func(*world.Uplink) int // the family without a default route
	}{
		"IPv4 is learnt": {"ip route add default via 192.0.2.1 dev eth1 metric 200 proto dhcp", `"auto-ipv4"`, func(*world.Uplink) int { return 1 }},
		"IPv6 is learnt": {"ip -6 route add default via fe80::1 dev eth1 metric 2000 proto ra", `"auto-ipv6"`, func(*world.Uplink) int { return 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := box.New(t, box.Conditions{RPFilter: 2}.Build(t, 2, world.Options{}))
			box.ServeAll(b.Gateway)
			b.Shell(c.route)
			u := b.Uplinks[1]
			i := c.other(u)
			learnt, other := u.Addrs()[1-i], u.Addrs()[i]
			bits := map[bool]int{true: 24, false: 64}[other.Is4()]
			prefix, err := other.Prefix(bits)
			if err != nil {
				t.Fatal(err)
			}
			b.Carry(b.Uplinks[0], prefix)
			kinds := []world.Kind{world.KindTCP, world.KindUDP, world.KindPing}
			box.WantReplies(t, b.Client, other, kinds)
			if err := os.Remove(b.Config); err != nil {
				t.Fatal(err)
			}
			b.Must(0, "init", "--write")
			if text, err := os.ReadFile(b.Config); err != nil || !strings.Contains(string(text), "gateway   = "+c.want) {
				t.Errorf("%v; no gateway %s in:\n%s", err, c.want, text)
			}
			b.Apply()
			box.WantReplies(t, b.Client, other, kinds)
			b.RecordEgress().WantReplies(t, b.Client, u, learnt, kinds)
			text, err := os.ReadFile(b.Config)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(strings.Replace(string(text), c.want, `"auto"`, 1))
			b.Apply()
			if a := b.Client.TCP(box.NewRequest(world.KindTCP, other).To); a.OK {
				t.Error("with \"auto\" the family without a default route is answered: this test shows nothing")
			}
		})
	}
}
