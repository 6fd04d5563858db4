package service

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A table is read without a process; one is run after a change that only iptables can decode.
func TestServiceListsChainsWithoutProcesses(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend, "[proof]", `every = "off"`) // a proof reads the rules of others
		ts := box.NewWrappers(t)
		b.UseWrappers(ts)
		b.Must(0, "apply")
		ts.Calls()
		b.Must(0, "apply")
		if calls := ts.Listings(); len(calls) != 0 {
			t.Errorf("an apply of nothing: %v", calls)
		}
		s := b.Start()
		ts.Calls()
		b.Gateway.Run("nft", "add table inet others; add chain inet others c; add rule inet others c counter")
		awaitObserved(b, s)
		if calls := ts.Listings(); len(calls) != 0 {
			t.Errorf("a foreign change in another table: %v", calls)
		}
		b.Iptables(4, "-w", "-t", "mangle", "-A", "FORWARD", "-j", "MARK", "--set-mark", "0x1/0x1")
		awaitObserved(b, s)
		if calls := ts.Listings(); len(calls) != 0 {
			t.Errorf("a foreign change in mangle: %v", calls)
		}
		b.Iptables(4, "-w", "-t", "mangle", "-I", "PREROUTING", "-i", "lan0", "-j", "MARK", "--set-mark", "0x1/0x1")
		awaitObserved(b, s)
		if calls := ts.Listings(); len(calls) != 1 {
			t.Errorf("a rule of others before our jump: %d processes list chains: %v", len(calls), calls)
		}
		s.Stop()
	})
}

// awaitObserved waits until the service has looked at what was done before: it repairs what is done after it.
func awaitObserved(b *box.Box, s *box.Service) {
	b.T.Helper()
	const repair = "ip rule add priority 2000 "
	before := strings.Count(s.Log.String(), repair)
	b.Gateway.Run("ip", "rule", "del", "priority", "2000", "protocol", "82")
	box.Eventually(b.T, box.EventualTimeout, "the service repairs the rule", func() bool {
		return strings.Count(s.Log.String(), repair) > before
	})
}

// A table with a foreign chain that iptables cannot print cannot be listed as a whole; our chains in it can.
func TestOwnChainsAreReadBesideChainsThatIptablesCannotPrint(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.ISPs(t, 17, world.Options{Spoofable: true}), `backend = "nft"`)
	b.Apply()
	b.Gateway.Run("nft", "add chain ip mangle others; add rule ip mangle others ct state established counter")
	b.Iptables(4, "-t", "mangle", "-I", "PREROUTING", "-i", "lan0", "-j", "MARK", "--set-mark", "0x1/0x1") // one that only iptables can decode
	if listing := b.Gateway.Command(t.Context(), "iptables-nft", "-t", "mangle", "-S"); listing.Run() == nil {
		t.Fatal("iptables lists the whole table: the test proves nothing")
	}
	if r := b.Must(0, "plan"); r.Stdout != "" {
		t.Errorf("beside a foreign chain: %s", r)
	}
	b.Iptables(4, "-t", "mangle", "-F", "REPLYPATH-N-eth1")
	b.Iptables(4, "-t", "mangle", "-N", "REPLYPATH-OLD")
	b.Must(3, "plan")
	b.Apply()
	if left := b.Gateway.Run("nft", "list", "chain", "ip", "mangle", "others"); !strings.Contains(left, "ct state established") {
		t.Errorf("the foreign chain is now\n%s", left)
	}
}
