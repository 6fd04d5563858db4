package iptables

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/test/world"
)

// ownRules are rules that marks.Rule expresses, in any spelling; lookalikeRules are similar rules that it cannot
// express.
var ownRules = []string{
	"", "-j RETURN", "-g " + marks.New, "-j " + marks.New, "-i eth0", "-i eth+", "! -i eth0", "! -i eth+", "-o eth0", "-o e+", "-i lo -o lo",
	"-i fifteen_letters", "-i fourteen-more+", "-m mark --mark 0x1", "-m mark ! --mark 0x1",
	"-m mark --mark 0x100/0x1f00", "-m mark ! --mark 0x0/0x1f00", "-m mark --mark 0x3/0x1", "-m connmark --mark 0x1",
	"-m connmark ! --mark 0x1/0xff", "-m mark --mark 0x1 -m connmark --mark 0x1", "-m devgroup --src-group 0x1",
	"-m conntrack --ctdir REPLY", "-m conntrack --ctdir ORIGINAL", "-m conntrack ! --ctstatus ASSURED",
	"-m conntrack ! --ctstatus ASSURED --ctdir REPLY", "-m conntrack --ctdir REPLY -m conntrack ! --ctstatus ASSURED",
	"-j MARK --set-xmark 0x1/0xff", "-m devgroup --dst-group 0x1", "-m addrtype ! --dst-type LOCAL", "-m cluster --cluster-total-nodes 4 --cluster-local-node 2 --cluster-hash-seed 7", "-j CONNMARK --set-mark 0x1", "-j CONNMARK --set-mark 0x1/0xff", "-j CONNMARK --set-xmark 0x1/0xff",
	"-j CONNMARK --and-mark 0x1", "-j CONNMARK --or-mark 0x1", "-j CONNMARK --xor-mark 0x1",
	"-j CONNMARK --set-xmark 0x0/0x0", "-j CONNMARK --save-mark", "-j CONNMARK --restore-mark",
	"-j CONNMARK --save-mark --mask 0xff", "-j CONNMARK --save-mark --nfmask 0x1 --ctmask 0x1",
}

var lookalikeRules = []string{
	"-j ACCEPT", "-j DROP", "-j OTHERS", "-g OTHERS", "-p tcp", "-p tcp -j RETURN", "-i +", "! -i +",
	"! -o eth0", "-m mark --mark 0x0/0x0", "-m mark --mark 0x1 -m mark --mark 0x2/0x3", "-m connmark --mark 0x0/0x0",
	"-m connmark --mark 0x1/0x1 -m connmark --mark 0x2/0x2", "-m devgroup ! --src-group 0x1",
	"-m devgroup --src-group 0x0", "-m devgroup --src-group 0x1/0xff",
	"-m devgroup --src-group 0x1 --dst-group 0x2", "-m devgroup --src-group 0x1 -m devgroup --src-group 0x2",
	"-m conntrack --ctstate NEW", "-m conntrack --ctstate NEW --ctdir REPLY", "-m conntrack --ctstatus ASSURED",
	"-m conntrack ! --ctstatus ASSURED,CONFIRMED", "-m conntrack ! --ctstatus SEEN_REPLY",
	"-m conntrack ! --ctstatus NONE", "-m conntrack --ctexpire 1:10", "-m conntrack --ctproto tcp",
	"-m conntrack --ctdir REPLY -m conntrack --ctdir ORIGINAL", "-m conntrack --ctdir REPLY --ctproto 6",
	"-m state --state NEW", "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff00",
	"-j CONNMARK --set-mark 0x1 --left-shift-mark 8", "-j CONNMARK --restore-mark --right-shift-mark 8",
	"-m devgroup ! --dst-group 0x1", "-m devgroup --dst-group 0x1/0xff", "-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL --limit-iface-out",
	"-m cluster --cluster-total-nodes 4 --cluster-local-nodemask 0x3 --cluster-hash-seed 1", "-m cluster --cluster-total-nodes 4 ! --cluster-local-node 1 --cluster-hash-seed 1",
	"-m comment --comment replypath", `-m comment --comment "-j RETURN"`,
	"-m pkttype --pkt-type unicast", "-m limit --limit 1/sec", "-m tos --tos 0x10",
	"-m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x100/0x1f00",
	"-i eth0 -m comment --comment x -j CONNMARK --set-xmark 0x100/0x1f00",
	"-m dscp --dscp 0x2e -j RETURN", "-m length --length 1:2",
}

func ethernet(id int) string { return fmt.Sprintf("eth%d", id) }

// A rule that this version of iptables rejects is skipped, as long as it accepts most.
func TestLookalikeRulesAreIncomplete(t *testing.T) {
	networks := map[bool][]string{
		false: {"-p icmp", "-p icmp -j RETURN", "-p icmp -i eth0 -m conntrack --ctstate RELATED -g " + marks.New, "-m conntrack --ctrepldst 192.0.2.77", "-m conntrack --ctrepldst 192.0.2.64/27 --ctdir REPLY", "-m conntrack --ctorigsrc 192.0.2.64/27 ! --ctstatus ASSURED", "-m conntrack ! --ctstatus ASSURED --ctrepldst 128.0.0.0/1"},
		true:  {"-p ipv6-icmp", "-p ipv6-icmp -j RETURN", "-p ipv6-icmp -s ::8/::8 -m conntrack --ctstate RELATED -g " + marks.New, "-m conntrack --ctrepldst 2001:db8::77", "-m conntrack --ctrepldst 2001:db8::/61 --ctdir REPLY", "-m conntrack --ctorigsrc 2001:db8::77", "-s ::8/::8", "-s 0:0:0:8000::/0:0:0:8000:: -i eth0 -j RETURN", "-m conntrack --ctrepldst 2001:db8::/32"},
	}
	addresses := map[bool][]string{
		false: {"! -p icmp -j RETURN", "-p ipv6-icmp -j RETURN", "-p icmp -m icmp --icmp-type 3", "-p icmp -s 192.0.2.1/32", "-s 192.0.2.1/32 -j RETURN", "! -d 192.0.2.0/24", "-f", "-m ttl --ttl-eq 1",
			"-m conntrack ! --ctrepldst 192.0.2.77", "-m conntrack ! --ctorigsrc 192.0.2.77", "-m conntrack --ctorigdst 192.0.2.77"},
		true: {"! -p ipv6-icmp -j RETURN", "-p icmp -j RETURN", "-p ipv6-icmp -m icmp6 --icmpv6-type 1", "-p ipv6-icmp -s 2001:db8::1/128", "-s 2001:db8::1/128 -j RETURN", "-s ::18/::18", "-s ::8/::18", "! -s ::8/::8", "-d ::8/::8", "-s ::8/::8 -d ::8/::8", "-s ::/::8", "! -d 2001:db8::/32", "-m hl --hl-eq 1", "-m frag --fragfirst",
			"-m conntrack ! --ctrepldst 2001:db8::77", "-m conntrack --ctreplsrc 2001:db8::77"},
	}
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		const try = marks.Prefix + "TRY"
		own := slices.Concat(ownRules, networks[table.ipv6()])
		accepted, rules := 0, slices.Concat(own, lookalikeRules, addresses[table.ipv6()])
		for i, rule := range rules {
			apply(t, h, table, layout(table.ipv6(), 0x1f00, 2, ethernet), try, "OTHERS")
			var rejected error
			h.Do(func() { rejected = table.restore(t.Context(), "*mangle\n-A "+try+" "+rule+"\nCOMMIT\n") })
			if rejected == nil {
				accepted++
				if complete := compareWithListing(t, h, table); complete != (i < len(own)) {
					t.Errorf("%q is decoded completely: %v", rule, complete)
				}
			}
			h.Run(table.path, "-t", "mangle", "-F")
			h.Run(table.path, "-t", "mangle", "-X")
		}
		if accepted < len(rules)-3 {
			t.Errorf("iptables accepts %d of %d rules", accepted, len(rules))
		}
	})
}

func TestForeignJumpsAreNotOurHooks(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		apply(t, h, table, layout(table.ipv6(), 0x1f00, 2, ethernet), "OTHERS")
		for _, c := range []struct {
			do    string
			whole bool
		}{
			{"-A PREROUTING -j OTHERS", true},
			{"-A PREROUTING -i lo -j " + marks.Pre, true},
			{"-A PREROUTING -j " + marks.Pre, true},
			{"-A PREROUTING -m comment --comment x -j " + marks.Pre, true},
			{"-A OTHERS -j " + marks.Out, true},
			{"-D OUTPUT -j " + marks.Out, true},
			{"-A OUTPUT -p tcp -j ACCEPT", true},
			{"-A OUTPUT -j " + marks.Out, false},
			{"-I POSTROUTING 1 -j OTHERS", false},
			{"-P OUTPUT DROP", false},
			{"-D POSTROUTING -j OTHERS", false},
			{"-D OUTPUT -p tcp -j ACCEPT", true},
		} {
			h.Run(table.path, append([]string{"-t", "mangle"}, strings.Fields(c.do)...)...)
			if complete := compareWithListing(t, h, table); complete != c.whole {
				t.Errorf("after %s the hooks are decoded completely: %v, want %v", c.do, complete, c.whole)
			}
		}
	})
}

// A rule written by nft(8) is complete only if iptables lists it in the same form as its own.
func TestNativeNFTRulesAreIncomplete(t *testing.T) {
	tables, err := Open(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	h := world.New(t).Host("gw")
	apply(t, h, tables.NFT, layout(tables.NFT.ipv6(), 0x1f00, 2, ethernet))
	complete := func() (complete bool) {
		t.Helper()
		h.Do(func() {
			now, err := tables.NFT.snapshot()
			if err != nil {
				t.Fatal(err)
			}
			_, complete = ownRuleset(now.table)
		})
		return complete
	}
	for _, rule := range []string{"iifname != eth0 counter drop", "ct mark 1", "meta mark & 0xff > 1", "meta mark set 1", "accept", "iif lo return",
		"ip saddr 192.0.2.1 return", "counter log", "meta mark 1 return comment \"x\"", "meta mark vmap { 1 : return }", "meta mark { 1, 2 } return",
		"ct direction original return", "ct status ! assured return", "ct status assured return", "ct state new return"} {
		h.Run("nft", "add rule ip mangle "+marks.Out+" "+rule)
		if complete() {
			t.Errorf("%q is decoded completely", rule)
		}
		h.Run("nft", "flush chain ip mangle "+marks.Out)
		if !complete() {
			t.Fatalf("without %q the table is not decoded completely", rule)
		}
	}
	h.Run("nft", "add rule ip mangle "+marks.Out+" oifname \"eth*\" meta mark and 0x1f00 != 0x100 counter goto "+marks.New)
	if !complete() || !compareWithListing(t, h, tables.NFT) {
		t.Error("a rule that iptables lists is not decoded completely")
	}
	h.Run("nft", "add chain ip mangle "+marks.Prefix+"BASE { type filter hook prerouting priority 7; }")
	if complete() {
		t.Error("a base chain is decoded as a chain of replypath")
	}
}
