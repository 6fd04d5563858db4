package service

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// conflictingOwner deletes the second uplink's rule whenever it is there, until the test ends.
type conflictingOwner struct {
	deleted atomic.Int64
	pauses  chan time.Duration // how long the rule was away
}

func startConflictingOwner(t *testing.T, b *box.Box) *conflictingOwner {
	t.Helper()
	var handle *netlink.Handle
	var err error
	b.Gateway.Do(func() { handle, err = netlink.NewHandle(unix.NETLINK_ROUTE) })
	if err != nil {
		t.Fatal(err)
	}
	r := &conflictingOwner{pauses: make(chan time.Duration, 1000)}
	ended, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for last := time.Now(); ; time.Sleep(200 * time.Microsecond) {
			select {
			case <-over:
				return
			default:
			}
			rule := netlink.NewRule()
			rule.Family, rule.Priority, rule.Table = unix.AF_INET, 2003, 8202
			if handle.RuleDel(rule) == nil {
				r.pauses <- time.Since(last)
				last = time.Now()
				r.deleted.Add(1)
			}
		}
	}()
	t.Cleanup(func() {
		close(over)
		<-ended
		handle.Close()
	})
	return r
}

func total(all []time.Duration) (sum time.Duration) {
	for _, d := range all {
		sum += d
	}
	return sum
}

func TestConflictingOwnerIsBackedOffFromAndNamed(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 3, world.Options{}), box.Backends[0])
	s := b.Start()
	r := startConflictingOwner(t, b)
	var pauses []time.Duration
	// TestBackoffGrowsToItsMaximum has the exact pauses; a busy machine adds to each. Without growth three of them would be less than
	// half of the first seven.
	for late := time.After(box.EventualTimeout); len(pauses) < 10 || total(pauses[len(pauses)-3:]) < total(pauses[:7]); {
		select {
		case p := <-r.pauses:
			pauses = append(pauses, p)
		case <-late:
			t.Fatalf("the pauses %v do not grow", pauses)
		}
	}
	t.Logf("the rule comes back after %v", pauses)
	if log := s.Log.String(); !strings.Contains(log, "undoes this repair again and again") || !strings.Contains(log, "netlink port") {
		t.Errorf("no suspect is named:\n%s", log)
	}
	own := fmt.Sprintf("netlink port %d\"", s.Cmd.Process.Pid)
	if strings.Contains(s.Log.String(), own) {
		t.Errorf("it suspects itself, %s", own)
	}
	wantOtherRepairsPrompt(t, b, r)
}

// wantOtherRepairsPrompt damages objects without a conflicting owner, and wants them repaired in the pause of the one with one.
func wantOtherRepairsPrompt(t *testing.T, b *box.Box, r *conflictingOwner) {
	t.Helper()
	before := r.deleted.Load()
	var took box.Durations
	for _, harm := range []struct{ command, section, wanted string }{
		{"ip rule del priority 2004 lookup 8203", "rules 4", "lookup 8203"},
		{"ip -6 rule del priority 2003 lookup 8202", "rules 6", "lookup 8202"},
		{"ip route del default table 8202 dev eth1", "routes 4", "default via 192.0.2.1 dev eth1 table 8202"},
		{b.IptablesName(4) + " -w -t mangle -D OUTPUT -j REPLYPATH-OUT", "chains 4", "-A OUTPUT -j REPLYPATH-OUT"},
	} {
		b.Gateway.Run("sh", "-c", harm.command)
		took = append(took, box.Eventually(t, box.EventualTimeout, harm.wanted, func() bool {
			return strings.Contains(listing(b, harm.section), harm.wanted)
		}))
	}
	t.Logf("meanwhile others are repaired in %v", took)
	if n := r.deleted.Load() - before; n != 0 {
		t.Errorf("the conflicting rule came back %d times before the others were repaired", n)
	}
}

func TestConflictingFirewallOwnerIsNamedByProcess(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 3, world.Options{}), box.Backends[0])
	s := b.Start()
	const jump = "while :; do nft flush chain ip mangle REPLYPATH-OUT || :; sleep 0.02; done"
	if err := b.Gateway.Command(t.Context(), "sh", "-c", jump).Start(); err != nil {
		t.Fatal(err)
	}
	box.Eventually(t, box.EventualTimeout, "the suspect is named", func() bool { return strings.Contains(s.Log.String(), `suspect="nft (process`) })
	if strings.Contains(s.Log.String(), `suspect="iptables`) {
		t.Errorf("it suspects itself:\n%s", s.Log.String())
	}
	b.Gateway.Run("ip", "rule", "del", "priority", "2004", "lookup", "8203")
	box.Eventually(t, box.EventualTimeout, "a rule is repaired", func() bool { return strings.Contains(listing(b, "rules 4"), "lookup 8203") })
}
