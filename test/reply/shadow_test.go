package reply

import (
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// A rule without a verdict above our jump changes nothing for us, and moving it could break its owner.
func TestHarmlessRuleAboveOurJumpStaysThere(t *testing.T) {
	t.Parallel()
	rules := map[string][]string{
		"a mark of its own":                    {"-j", "MARK", "--set-xmark", "0x80000/0x80000"},
		"a log":                                {"-i", "eth1", "-j", "LOG", "--log-prefix", "seen: "},
		"a counter without target":             {"-p", "udp"},
		"a comment that speaks of a verdict":   {"-m", "comment", "--comment", "then -j ACCEPT", "-j", "MARK", "--set-xmark", "0x80000/0x80000"},
		"a chain in which packets always pass": {"-j", "THEIRS"},
	}
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		box.ServeAll(b.Gateway)
		b.Apply()
		for _, family := range []int{4, 6} {
			b.Iptables(family, "-t", "mangle", "-N", "THEIRS")
			b.Iptables(family, "-t", "mangle", "-A", "THEIRS", "-p", "tcp", "-j", "RETURN")
			b.Iptables(family, "-t", "mangle", "-A", "THEIRS", "-j", "MARK", "--set-xmark", "0x80000/0x80000")
		}
		for what, rule := range rules {
			for _, family := range []int{4, 6} {
				b.Iptables(family, append([]string{"-t", "mangle", "-I", "PREROUTING"}, rule...)...)
			}
			if r := b.Run("plan"); r.Status != 0 {
				t.Errorf("plan with %s above our jump: %s", what, r)
			}
		}
		before := slices.Concat(prerouting(b, 4), prerouting(b, 6))
		if r := b.Must(0, "apply"); !strings.Contains(r.Stdout, "in sync") {
			t.Errorf("apply: %s", r)
		}
		if after := slices.Concat(prerouting(b, 4), prerouting(b, 6)); !slices.Equal(before, after) {
			t.Errorf("PREROUTING was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
		b.RecordEgress().WantRepliesFromAll(t, b.Client, world.Kinds)
	})
}

// iptables cannot read a native rule with a set, nor any rule of a chain with a native ct state match. Such rules may end a
// packet's walk: our jump must come before them, and they must stay.
func TestNativeRuleAboveOurJump(t *testing.T) {
	t.Parallel()
	for when, rule := range map[string]string{
		"before apply":                        "FAMILY saddr @trusted counter accept",
		"inserted after apply":                "FAMILY saddr @trusted counter accept",
		"one for states inserted after apply": "ct state new,established counter accept",
	} {
		t.Run(when, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[0])
			box.ServeAll(b.LAN)
			b.AddDNAT(b.LAN4, b.LAN6)
			if strings.Contains(when, "after") {
				b.Apply()
			}
			var theirs []string
			for _, n := range natives {
				b.Gateway.Run(b.IptablesName(n.version), "-t", "mangle", "-S", "PREROUTING") // makes the table when there is none
				b.Iptables(n.version, "-t", "mangle", "-A", "PREROUTING", "-j", "MARK", "--set-xmark", "0x80000/0x80000")
				b.Gateway.Run("nft", "add", "set", n.family, "mangle", "trusted", "{ type "+n.kind+"; elements = { "+n.client+" }; }")
				b.Gateway.Run("nft", "insert rule "+n.family+" mangle PREROUTING "+strings.ReplaceAll(rule, "FAMILY", n.family))
				theirs = append(theirs, nativeListing(b, n))
			}
			q := box.NewRequest(world.KindTCP, b.Uplinks[1].Addr4)
			q.Timeout = 300 * time.Millisecond
			if a := b.Client.Send(q); a.OK {
				t.Errorf("below the native rule: %v: the test proves nothing", a)
			}
			b.Must(3, "plan")
			b.Apply()
			for i, n := range natives {
				if now := nativeListing(b, n); now != theirs[i] {
					t.Errorf("the rules of others in %s were\n%s\nand are\n%s", n.family, theirs[i], now)
				}
			}
			b.RecordEgress().WantRepliesFromAll(t, b.Client, box.DNATKinds)
			b.Must(0, "flush")
			for i, n := range natives {
				if now := nativeListing(b, n); now != theirs[i] {
					t.Errorf("after flush the rules of others in %s are\n%s", n.family, now)
				}
			}
		})
	}
}

type native struct {
	version              int
	family, kind, client string
}

var natives = []native{{4, "ip", "ipv4_addr", "203.0.113.10"}, {6, "ip6", "ipv6_addr", "2001:db8:c::10"}}

// nativeListing returns nft's listing of the foreign rules in PREROUTING and of their set, without counters.
func nativeListing(b *box.Box, n native) string {
	b.T.Helper()
	text := b.Gateway.Run("nft", "-s", "list", "chain", n.family, "mangle", "PREROUTING") +
		b.Gateway.Run("nft", "-s", "list", "set", n.family, "mangle", "trusted")
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.Contains(line, "REPLYPATH") })
	return strings.Join(lines, "\n")
}
