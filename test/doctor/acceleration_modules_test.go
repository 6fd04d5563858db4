//go:build modules

package doctor

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Packets of accelerated connections have no mark when they leave, and do not pass FORWARD: traffic control and rules at the egress of a
// link that select by it, accounts, quotas, and programs that inspect packets, do not see theirs.
func TestModulesAccelerationIsNotSeenByRules(t *testing.T) {
	b := box.New(t, world.ISPs(t, 2), box.Nftables, "accelerate = true")
	b.Gateway.Run("tc", "qdisc", "add", "dev", "eth1", "root", "handle", "1:", "prio")
	b.Gateway.Run("tc", "filter", "add", "dev", "eth1", "parent", "1:", "protocol", "ip", "handle", "0x200", "fw", "flowid", "1:1")
	b.Must(0, "check")
	if d := b.RunDoctor(); len(d.Of("accelerated-unseen")) > 0 {
		t.Errorf("before there is a flow table: %s", d)
	}
	b.Apply()
	b.WantFinding(b.RunDoctor(), box.IsWarning, "accelerated-unseen", "eth1: filter fw, handle 0x200", "selects by mark", "out of accelerate")
	if d := b.RunDoctor(); len(d.Of("flow-offload")) > 0 {
		t.Errorf("the flow table of replypath is taken for another program's: %s", d)
	}
	b.Gateway.Run("tc", "qdisc", "del", "dev", "eth1", "root")
	if d := b.RunDoctor(); len(d.Of("accelerated-unseen")) > 0 {
		t.Errorf("without traffic control: %s", d)
	}
	for _, c := range []struct{ table, chain, rule, named string }{
		{"netdev shaped", "{ type filter hook egress device eth1 priority 0; }", "meta mark and 0xff00 == 0x200 drop", "netdev shaped c: "},
		{"inet accounts", "{ type filter hook forward priority 10; }", "ip saddr 198.18.0.0/24 counter", "ip saddr 198.18.0.0/24"},
		{"ip limits", "{ type filter hook postrouting priority 10; }", `oifname "eth1" quota over 1 mbytes drop`, `ip limits c: oifname "eth1" quota drop`},
		{"ip6 inspected", "{ type filter hook forward priority 10; }", "queue num 3 bypass", "ip6 inspected c: "},
	} {
		b.Gateway.Run("nft", "add table "+c.table+"; add chain "+c.table+" c "+c.chain+"; add rule "+c.table+" c "+c.rule)
		b.WantFinding(b.RunDoctor(), box.IsWarning, "accelerated-unseen", c.named, "need to see every packet")
		b.Gateway.Run("nft", "delete table "+c.table)
	}
	for _, family := range []int{4, 6} {
		b.Iptables(family, "-A", "FORWARD", "-i", "lan0", "-o", "eth1", "-m", "comment", "--comment", "account")
	}
	b.WantFinding(b.RunDoctor(), box.IsWarning, "accelerated-unseen", "filter FORWARD: -A FORWARD -i lan0 -o eth1", "nf_conntrack_acct")
}
