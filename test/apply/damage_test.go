package apply

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// damage is a change of our kernel objects by other programs, as lines of shell: IP is ip(8) and IPT the iptables command, each of the
// family. named is what the plan must speak of, and undo takes away what is theirs.
type damage struct{ name, lines, named, undo string }

// routing is damage that has nothing to do with the firewall.
var routing = []damage{
	{"a rule deleted", "IP rule del " + box.MarkRule, "rule add priority 2003", ""},
	{"a rule with another table", "IP rule del " + box.MarkRule + "; IP rule add priority 2003 fwmark 0x200/0x1f00 lookup 8201 protocol 82", "rule add priority 2003", ""},
	{"a rule with another priority", "IP rule del " + box.MarkRule + "; IP rule add priority 2500 fwmark 0x200/0x1f00 lookup 8202 protocol 82", "rule del priority 2500", ""},
	{"a rule with one more selector", "IP rule del " + box.MarkRule + "; IP rule add to ANY " + box.MarkRule, "rule add priority 2003", ""},
	{"a rule for one protocol only", "IP rule del " + box.MarkRule + "; IP rule add ipproto tcp " + box.MarkRule, "rule add priority 2003", ""},
	{"a rule beside ours with one more selector", "IP rule add ipproto tcp to ANY " + box.MarkRule, "rule del priority 2003", ""},
	{"a rule twice", "IP rule add priority 2007 fwmark 0x200/0x1f00 lookup 8202 protocol 82", "rule del priority 2007", ""},
	{"a rule of an address deleted", "IP rule del priority 3002 protocol 82", "rule add priority 3002 from FROM", ""},
	{"all rules of the family flushed", "IP rule flush", "rule add priority 2000", "RESTORE"},
	{"a route deleted", "IP route del default table 8202 via VIA", "route replace default via VIA dev eth1", ""},
	{"the refusal deleted", "IP route del unreachable default table 8202 metric 4294967295", "route replace unreachable default table 8202", ""},
	{"a connected route deleted", "IP route del NET table 8202", "route replace NET dev eth1", ""},
	{"a route by another gateway", "IP route del default via VIA table 8202; IP route add default via OTHER dev eth1 src FROM table 8202 protocol 82", "route replace default via VIA dev eth1", ""},
	{"a foreign route by another gateway", "IP route del default via VIA table 8202; IP route add default via OTHER dev eth1 table 8202", "default via VIA dev eth1", ""},
	{"a route of ours more", "IP route add ANY dev eth1 table 8202 protocol 82", "route del ANY", ""},
	{"the table flushed", "IP route flush table 8202", "route replace default via VIA dev eth1", ""},
	{"the reply sysctl changed", "sysctl -qw SYSCTL=0", "sysctl -w SYSCTL=1", ""},
	{"the link's sysctl changed", "sysctl -qw net.ipv4.conf.eth1.src_valid_mark=0", "net.ipv4.conf.eth1.src_valid_mark=1", ""},
	{"the link's group changed", "ip link set eth1 group 7", "ip link set dev eth1 group 8200", ""},
}

// onlyIPv4 is what the other family has no word for.
var onlyIPv4 = []damage{
	{"a route hidden by another before it", "ip route prepend default via OTHER dev eth1 table 8202", "default via", ""},
	{"a route hidden by one that claims to be ours", "ip route prepend default via OTHER dev eth1 table 8202 protocol 82", "default via", ""},
}

// filtering is damage to chains.
var filtering = []damage{
	{"a rule before ours", "IPT -I REPLYPATH-PRE 1 -j RETURN", "REPLYPATH-PRE", ""},
	{"a rule after ours", "IPT -A REPLYPATH-NEW -j MARK --set-mark 1", "REPLYPATH-NEW", ""},
	{"a rule replaced", "IPT -R REPLYPATH-NEW 2 -i eth1 -j CONNMARK --set-xmark 0x100/0x1f00", "REPLYPATH-NEW", ""},
	{"a rule of a chain deleted", "IPT -D REPLYPATH-PRE 2", "REPLYPATH-PRE", ""},
	{"a chain emptied", "IPT -F REPLYPATH-OUT", "REPLYPATH-OUT", ""},
	{"a chain and its jump deleted", "IPT -D OUTPUT -j REPLYPATH-OUT; IPT -F REPLYPATH-OUT; IPT -X REPLYPATH-OUT", "-N REPLYPATH-OUT", ""},
	{"a chain of ours more", "IPT -N REPLYPATH-OLD; IPT -A REPLYPATH-OLD -j REPLYPATH-NEW", "REPLYPATH-OLD", ""},
	{"a jump gone", "IPT -D PREROUTING -j REPLYPATH-PRE", "PREROUTING 1 -j REPLYPATH-PRE", ""},
	{"a jump twice", "IPT -A POSTROUTING -j REPLYPATH-POST", "POSTROUTING -j REPLYPATH-POST", ""},
	{"a jump of an older layout", "IPT -D POSTROUTING 1; IPT -N REPLYPATH-SEEN; IPT -A POSTROUTING -j REPLYPATH-POST", "-D POSTROUTING -j REPLYPATH-POST", ""},
	{"a jump below ACCEPT", "IPT -D OUTPUT -j REPLYPATH-OUT; IPT -A OUTPUT -j ACCEPT; IPT -A OUTPUT -j REPLYPATH-OUT", "OUTPUT 1 -j REPLYPATH-OUT", "IPT -D OUTPUT -j ACCEPT"},
	{"the table flushed", "IPT -F", "REPLYPATH-PRE", ""},
	{"the table flushed and its chains deleted", "IPT -F; IPT -X", "-N REPLYPATH-PRE", ""},
}

func TestRoutingDamageIsDetectedAndRepaired(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	damageAndRepair(t, b, routing, 4, 6)
	damageAndRepair(t, b, onlyIPv4, 4)
}

func TestChainDamageIsDetectedAndRepaired(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		damageAndRepair(t, b, filtering, 4, 6)
		damageAndRepair(t, b, []damage{allDamage()}, 4, 6)
	})
}

// allDamage returns all damage at once.
func allDamage() damage {
	all := damage{name: "everything at once", named: "rule add priority 2000"}
	all.lines = "IP rule flush; IPT -F; IPT -X; IP route flush table 8201; IP route flush table 8202; ip link set eth1 group 0; sysctl -qw SYSCTL=0; sysctl -qw net.ipv4.conf.eth0.src_valid_mark=0"
	all.undo = "RESTORE"
	return all
}

// damageAndRepair does each damage in these families, and wants it detected and repaired, and foreign objects unchanged.
func damageAndRepair(t *testing.T, b *box.Box, all []damage, families ...int) {
	t.Helper()
	b.Apply()
	whole := box.TakeSnapshot(b.Gateway)
	delete(whole, "nft") // lists chains in the order in which they were made
	for _, d := range all {
		for _, family := range families {
			b.FamilyShell(family, d.lines)
		}
		plan := b.Must(3, "plan")
		for _, family := range families {
			if named := box.FamilyWords[family].Replace(d.named); !strings.Contains(plan.Stdout, named) {
				t.Errorf("%s in IPv%d: the plan does not name %q:\n%s", d.name, family, named, plan.Stdout)
			}
		}
		if r := b.Run("apply"); r.Status != 0 {
			t.Fatalf("%s: %s", d.name, r)
		}
		for _, family := range families {
			b.FamilyShell(family, d.undo)
		}
		whole.WantSame(t, d.name, b.Gateway)
	}
	b.Must(0, "plan")
}

func TestFlushedRulesetIsRepaired(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t), `backend = "nft"`)
	b.Apply()
	whole := box.TakeSnapshot(b.Gateway)
	b.Gateway.Run("nft", "flush", "ruleset")
	if plan := b.Must(3, "plan"); strings.Count(plan.Stdout, " -w -t mangle -N REPLYPATH-PRE\n") != 2 {
		t.Errorf("the plan does not make the chains of both families anew: %s", plan)
	}
	b.Apply()
	whole.WantSame(t, "nft flush ruleset", b.Gateway)
}

// nft(8) lists our rules in its own syntax, in part wrongly, and iptables cannot read what it loads from that.
func TestRulesetReloadedByNFTIsRepaired(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t), `backend = "nft"`)
	before := box.TakeSnapshot(b.Gateway)
	b.Apply()
	whole := box.TakeSnapshot(b.Gateway)
	loadByNFT(b)
	b.Must(3, "plan")
	b.Apply()
	whole.WantSame(t, "a ruleset that nft has loaded", b.Gateway)
	loadByNFT(b)
	b.Must(0, "flush")
	before.WantSame(t, "flush", b.Gateway)
}

// loadByNFT loads by nft(8) the ruleset that it lists.
func loadByNFT(b *box.Box) {
	b.T.Helper()
	b.Gateway.Run("sh", "-ec", "{ echo flush ruleset; nft list ruleset; } > "+b.Dir+"/saved; nft -f "+b.Dir+"/saved")
	if b.Gateway.Command(b.T.Context(), "iptables-nft", "-t", "mangle", "-S").Run() == nil {
		b.T.Fatal("iptables reads what nft has loaded: the test proves nothing")
	}
}

func TestBackendChangeLeavesNothingInTheOldBackend(t *testing.T) {
	t.Parallel()
	for _, change := range [][2]string{{box.Backends[0], box.Backends[1]}, {box.Backends[1], box.Backends[0]}, {box.Backends[1], box.Nftables}, {box.Nftables, box.Backends[0]}} {
		from, to := change[0], change[1]
		t.Run(from+" to "+to, func(t *testing.T) {
			const purposes = "[intercept.web]\nfrom = \"lan0\"\nports = 80\nproxy = 50080\n[outbound]\ndefault = \"isp0\"\nmasquerade = \"both\"\n"
			b := box.New(t, world.TwoISPs(t), from, purposes)
			box.LegacyTable(b.Gateway)
			b.Gateway.Run("iptables-legacy", "-t", "nat", "-S") // which makes the table, for good
			b.Gateway.Run("ip6tables-legacy", "-t", "nat", "-S")
			before := box.TakeSnapshot(b.Gateway)
			b.Apply()
			b.Settings = []string{to, purposes}
			b.Configure(b.Uplinks...)
			b.Must(3, "plan")
			b.Apply()
			now := box.TakeSnapshot(b.Gateway)
			for _, save := range box.SaveCommands {
				mine := strings.Contains(now[save], "REPLYPATH-PRE")
				if _, name, _ := strings.Cut(to, `"`); mine != strings.Contains(save, "-"+strings.TrimSuffix(name, `"`)+"-") {
					t.Errorf("%s after %s: %s", save, to, now[save])
				}
			}
			if mine := strings.Contains(now["nft"], "table inet replypath {"); mine != (to == box.Nftables) {
				t.Errorf("nft after %s: %s", to, now["nft"])
			}
			b.Must(0, "flush")
			before.WantSame(t, "flush", b.Gateway)
		})
	}
}
