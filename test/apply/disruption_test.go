package apply

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestPlanWarnsOfForeignRulesAndDisruptions(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	b.Gateway.Run("ip", "rule", "add", "not", "fwmark", "51820", "table", "51820")
	b.Gateway.Run("ip", "rule", "add", "table", "main", "suppress_prefixlength", "0")
	r := b.Must(0, "plan")
	for _, rule := range []string{"not from all fwmark 0xca6c/0xffffffff lookup 51820", "from all lookup main suppress_prefixlength 0"} {
		if !strings.Contains(r.Stderr, rule) {
			t.Errorf("the rule %q is not named: %s", rule, r)
		}
	}
	b.Gateway.Run("ip", "rule", "del", "priority", "1998")
	b.Gateway.Run("ip", "rule", "del", "priority", "1999")
	text, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(strings.NewReplacer("id = 1", "id = 2", "id = 2", "id = 1").Replace(string(text)))
	for _, line := range []string{"0x100/0x1f00 get 0x400", "0x200/0x1f00 get 0x300", "0x300/0x1f00 get 0x100", "0x400/0x1f00 get 0x200"} {
		if r := b.Must(3, "plan"); strings.Contains(r.Stdout, "# warning") || !strings.Contains(r.Stdout, "# open IPv4 connections with the mark "+line+"\n") {
			t.Errorf("swapped ids: want %q: %s", line, r)
		}
	}
	b.Apply()
	b.Write(string(text))
	b.Apply()
	b.Write(strings.Replace(string(text), "eth1", "lan0", 1))
	if r := b.Must(3, "plan"); !strings.Contains(r.Stdout, "# warning: open connections that came in by eth1 have the mark 0x200") {
		t.Errorf("another interface: %s", r)
	}
}

func TestUndeletableChainDoesNotBlockRepairs(t *testing.T) {
	box.EachBackend(t, func(t *testing.T, backend string) {
		t.Parallel()
		b := box.New(t, world.TwoISPs(t), backend)
		s := b.Start()
		for _, family := range []int{4, 6} {
			b.FamilyShell(family, "IPT -N REPLYPATH-OLD; IPT -A FORWARD -j REPLYPATH-OLD; IPT -F REPLYPATH-PRE")
		}
		s.AwaitNotify("another program jumps to a chain of replypath")
		for _, family := range []int{4, 6} {
			box.Eventually(t, box.EventualTimeout, "the chain is whole again", func() bool {
				return strings.Contains(b.Iptables(family, "-w", "-t", "mangle", "-S", "REPLYPATH-PRE"), "--restore-mark")
			})
			b.FamilyShell(family, "IPT -D FORWARD -j REPLYPATH-OLD")
		}
		b.AwaitInSync()
	})
}

func TestFlushWithoutStateAndBesideForeignJumps(t *testing.T) {
	box.EachBackend(t, func(t *testing.T, backend string) {
		t.Parallel()
		b := box.New(t, world.TwoISPs(t), backend)
		b.Apply()
		if err := os.RemoveAll(filepath.Join(b.Dir, "state")); err != nil {
			t.Fatal(err)
		}
		b.Iptables(4, "-t", "mangle", "-A", "FORWARD", "-j", "REPLYPATH-PRE")
		if r := b.Must(1, "flush"); !strings.Contains(r.Stderr, "another program jumps to a chain of replypath") || !strings.Contains(r.Stderr, "-save -t mangle") {
			t.Errorf("flush does not say what is in its way: %s", r)
		}
		if left := b.Iptables(4, "-t", "mangle", "-S"); strings.Contains(left, "-A REPLYPATH-") || strings.Contains(left, "-A PREROUTING") {
			t.Errorf("more is left than the chains that are jumped to:\n%s", left)
		}
		if rules := b.Gateway.Run("ip", "rule"); strings.Contains(rules, "lookup 82") {
			t.Errorf("rules are left:\n%s", rules)
		}
		b.Iptables(4, "-t", "mangle", "-D", "FORWARD", "-j", "REPLYPATH-PRE")
		for _, link := range []string{"eth0", "eth1"} {
			if r := b.Must(0, "flush"); !strings.Contains(r.Stderr, link+" is in the link group") {
				t.Errorf("what is left is not named: %s", r)
			}
		}
		if left := b.Iptables(4, "-t", "mangle", "-S"); strings.Contains(left, "REPLYPATH") {
			t.Errorf("chains are left:\n%s", left)
		}
	})
}
