package apply

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// leftOutKinds are the requests whose replies show that an uplink is applied.
var leftOutKinds = []world.Kind{world.KindTCP, world.KindUDP, world.KindPing}

// mistakes are gateways of the second uplink that cannot be right, and words of the warning in both families.
var mistakes = map[string]struct {
	gateways string
	words    []string
}{
	"gateways in the networks of the other uplink": {`["198.51.100.1", "2001:db8:a::1"]`,
		[]string{"198.51.100.0/24, a network of eth0 (uplink isp0)", "2001:db8:a::/64, a network of eth0 (uplink isp0)"}},
	"gateways that the kernel refuses": {`["198.18.0.1", "2001:db8:f::9"]`,
		[]string{"via 198.18.0.1 dev eth1", "via 2001:db8:f::9 dev eth1", "the kernel refuses the route: invalid argument"}},
}

// TestMistakeLeavesOutItsUplinkAlone applies both at once, in both backends: the other uplink's replies are right.
func TestMistakeLeavesOutItsUplinkAlone(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for name, c := range mistakes {
			t.Run(name, func(t *testing.T) {
				b := leftOutBox(t, backend)
				b.GatewayOf(1, c.gateways)
				mustLeaveOut(t, b, c.words)
				wantRepliesBy(t, b, b.Uplinks[0])
				if rules := b.Gateway.Run("ip", "rule") + b.Gateway.Run("ip", "-6", "rule"); strings.Contains(rules, "8202") {
					t.Errorf("rules of the uplink that is left out:\n%s", rules)
				}
				b.Configure(b.Uplinks...)
				b.Apply()
				wantRepliesBy(t, b, b.Uplinks...)
			})
		}
	})
}

// TestMistakeKeepsWhatWasInForce makes the mistake in a configuration that is in force: the uplink's replies stay right.
func TestMistakeKeepsWhatWasInForce(t *testing.T) {
	t.Parallel()
	for name, c := range mistakes {
		t.Run(name, func(t *testing.T) {
			b := leftOutBox(t, box.Backends[0])
			b.Apply()
			before := box.TakeSnapshot(b.Gateway)
			b.GatewayOf(1, c.gateways)
			mustLeaveOut(t, b, c.words)
			before.WantSame(t, "apply", b.Gateway)
			wantRepliesBy(t, b, b.Uplinks...)
		})
	}
}

// TestMistakeInOneFamilyLeavesTheOther makes the mistake in each family in turn.
func TestMistakeInOneFamilyLeavesTheOther(t *testing.T) {
	t.Parallel()
	for family, gateways := range map[int]string{4: `["198.51.100.1", "fe80::1"]`, 6: `["192.0.2.1", "2001:db8:a::1"]`} {
		b := leftOutBox(t, box.Backends[0])
		b.GatewayOf(1, gateways)
		mustLeaveOut(t, b, []string{fmt.Sprintf("uplink isp1: IPv%d is left out: its gateway", family)})
		p := b.RecordEgress()
		for _, to := range b.Uplinks[1].Addrs() {
			if to.Is4() != (family == 4) {
				p.WantReplies(t, b.Client, b.Uplinks[1], to, leftOutKinds)
			}
		}
	}
}

// leftOutBox returns a box with services and a backend.
func leftOutBox(t *testing.T, backend string) *box.Box {
	t.Helper()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
	box.ServeAll(b.Gateway)
	return b
}

// mustLeaveOut applies, and wants exit 3, warnings with the words, and the report in JSON.
func mustLeaveOut(t *testing.T, b *box.Box, words []string) {
	t.Helper()
	r := b.Must(3, "apply")
	for _, word := range append([]string{"warning: uplink isp1: IPv", "is left out: "}, words...) {
		if !strings.Contains(r.Stderr, word) {
			t.Errorf("apply does not say %q: %s", word, r)
		}
	}
	var report struct {
		LeftOut []struct{ Uplink, Family, Reason string } `json:"left_out"`
	}
	again := b.Must(3, "apply", "--json")
	if err := json.Unmarshal([]byte(again.Stdout), &report); err != nil {
		t.Fatalf("%v: %s", err, again)
	}
	if len(report.LeftOut) == 0 || report.LeftOut[0].Uplink != "isp1" || report.LeftOut[0].Reason == "" {
		t.Errorf("report %+v", report)
	}
}

// wantRepliesBy wants the replies from the addresses of these uplinks to leave by them.
func wantRepliesBy(t *testing.T, b *box.Box, uplinks ...*world.Uplink) {
	t.Helper()
	p := b.RecordEgress()
	for _, u := range uplinks {
		for _, to := range u.Addrs() {
			p.WantReplies(t, b.Client, u, to, leftOutKinds)
		}
	}
}

// TestPortOfABridgeIsNamed makes the interface of an uplink a port of a bridge, which has its addresses then.
func TestPortOfABridgeIsNamed(t *testing.T) {
	t.Parallel()
	b := leftOutBox(t, box.Backends[0])
	b.Shell("ip link add br1 type bridge", "ip link set br1 up", "ip addr flush dev eth1 scope global", "ip link set eth1 master br1",
		"ip addr add 192.0.2.2/24 dev br1", "ip addr add 2001:db8:b::2/64 dev br1 nodad")
	const words = `uplink isp1: eth1 is a port of the bridge br1, by which its packets come in: the uplink is not managed: write interface = "br1" instead of "eth1"`
	for _, command := range []string{"check", "apply"} {
		if r := b.Must(0, command); !strings.Contains(r.Stderr, words) {
			t.Errorf("%s: %s", command, r)
		}
	}
	wantRepliesBy(t, b, b.Uplinks[0])
	text, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(strings.ReplaceAll(string(text), `interface = "eth1"`, `interface = "br1"`))
	b.Apply()
	wantRepliesBy(t, b, b.Uplinks...)
}
