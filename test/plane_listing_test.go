package test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// listings are the processes that list or restore rules. What tells the commands' backend at the start is left out, and
// the reading of the legacy backend's counters.
func (ts wrappers) listings() (calls []string) {
	return slices.DeleteFunc(ts.calls(), func(call string) bool {
		return call == "" || strings.HasSuffix(call, "--version") || strings.HasSuffix(call, "-v -S")
	})
}

// A table is read without a process, and when only iptables can tell what is in it by one, after it changed.
func TestServiceListsChainsWithoutProcesses(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		ts := newWrappers(t)
		b.useWrappers(ts)
		b.must(0, "apply")
		ts.calls()
		b.must(0, "apply")
		if calls := ts.listings(); len(calls) != 0 {
			t.Errorf("an apply of nothing: %v", calls)
		}
		s := b.start()
		ts.calls()
		b.Gateway.Run("nft", "add table inet others; add chain inet others c; add rule inet others c counter")
		b.awaitObserved(s)
		if calls := ts.listings(); len(calls) != 0 {
			t.Errorf("a foreign change in another table: %v", calls)
		}
		b.iptables(4, "-w", "-t", "mangle", "-A", "FORWARD", "-j", "MARK", "--set-mark", "0x1/0x1")
		b.awaitObserved(s)
		if calls := ts.listings(); len(calls) != 0 {
			t.Errorf("a foreign change in mangle: %v", calls)
		}
		b.iptables(4, "-w", "-t", "mangle", "-I", "PREROUTING", "-i", "lan0", "-j", "MARK", "--set-mark", "0x1/0x1")
		b.awaitObserved(s)
		if calls := ts.listings(); len(calls) != 1 {
			t.Errorf("a rule of others before our jump: %d processes list chains: %v", len(calls), calls)
		}
		s.stop()
	})
}

// awaitObserved waits until the service has looked at what was done before: it repairs what is done after it.
func (b *box) awaitObserved(s *service) {
	b.t.Helper()
	const repair = "ip rule add priority 2000 "
	before := strings.Count(s.log.String(), repair)
	b.Gateway.Run("ip", "rule", "del", "priority", "2000", "protocol", "82")
	for began := time.Now(); strings.Count(s.log.String(), repair) == before; time.Sleep(time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			b.t.Fatal("the service repairs nothing")
		}
	}
}

// A table in which somebody keeps a chain that iptables cannot print cannot be listed as a whole; what is ours in it can.
func TestOwnChainsAreReadBesideChainsThatIptablesCannotPrint(t *testing.T) {
	b := newBox(t, world.ISPs(t, 17, world.Options{Spoofable: true}), `backend = "nft"`)
	b.apply()
	b.Gateway.Run("nft", "add chain ip mangle others; add rule ip mangle others ct state established counter")
	b.iptables(4, "-t", "mangle", "-I", "PREROUTING", "-i", "lan0", "-j", "MARK", "--set-mark", "0x1/0x1") // one that only iptables can tell
	if listing := b.Gateway.Command(t.Context(), "iptables-nft", "-t", "mangle", "-S"); listing.Run() == nil {
		t.Fatal("iptables lists the whole table: the test proves nothing")
	}
	if r := b.must(0, "plan"); r.stdout != "" {
		t.Errorf("beside the chain of somebody else: %s", r)
	}
	b.iptables(4, "-t", "mangle", "-F", "REPLYPATH-N-eth1")
	b.iptables(4, "-t", "mangle", "-N", "REPLYPATH-OLD")
	b.must(3, "plan")
	b.apply()
	if left := b.Gateway.Run("nft", "list", "chain", "ip", "mangle", "others"); !strings.Contains(left, "ct state established") {
		t.Errorf("the chain of somebody else is now\n%s", left)
	}
}
