package nftables_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"replypath/marks"
)

// restore restores the table and reports whether it was lost.
func (h host) restore() (restored bool) {
	h.t.Helper()
	restored, err := h.firewalls[false].Restore()
	if err != nil {
		h.t.Fatal(err)
	}
	return restored
}

func TestRestoreMakesBothFamiliesInOneTransaction(t *testing.T) {
	for name, families := range map[string][]bool{"both": {false, true}, "IPv4": {false}, "IPv6": {true}} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			changes, wants := map[bool]marks.Change{}, map[bool]marks.Ruleset{}
			for _, ipv6 := range families {
				change, want := creation(0xff00, links(3, ipv6))
				addPurposes(&change, want, 0xff00, ipv6, links(3, ipv6))
				h.apply(ipv6, change)
				changes[ipv6], wants[ipv6] = change, want
			}
			if h.restore() {
				t.Error("it was restored unprepared")
			}
			h.Do(func() {
				if err := h.firewalls[false].PrepareRestore(changes); err != nil {
					t.Fatal(err)
				}
			})
			listed := h.list()
			if h.restore() {
				t.Error("a table that is there was restored")
			}
			h.wantRead("after the refusal", families[0], wants[families[0]]) // by the same socket
			h.flush(false)
			events := h.watch()
			if !h.restore() {
				t.Error("it was not restored")
			}
			h.Run("nft", "add", "table", "inet", "other")
			if <-events; (<-events).Name != "nft" {
				t.Error("it took several transactions")
			}
			for ipv6, want := range wants {
				h.wantRead("restored", ipv6, want)
			}
			if got := h.list(); strings.Count(got, "\n") != strings.Count(listed, "\n") {
				t.Errorf("restored\n%s\nwas\n%s", got, listed)
			}
		})
	}
}

// watch reports the transactions of nftables from now on.
func (h host) watch() <-chan marks.Process {
	ctx, stop := context.WithCancel(context.Background())
	events, ended := make(chan marks.Process, 100), make(chan struct{})
	go h.Do(func() {
		defer close(ended)
		h.firewalls[false].Watch(ctx, func(p marks.Process) { events <- p })
	})
	h.t.Cleanup(func() {
		stop()
		<-ended
	})
	<-events // the subscription
	return events
}

func TestLossOfTheTableIsReported(t *testing.T) {
	h := newHost(t)
	h.Run("nft", "add table inet replypath; add table ip replypath; add table inet other")
	events := h.watch()
	for _, c := range []struct {
		command string
		lost    bool
	}{
		{"delete table ip replypath", false},
		{"delete table inet other", false},
		{"delete table inet replypath; add table inet replypath", false},
		{"delete table inet replypath", true},
		{"add table inet replypath; add chain inet replypath foreign", false},
		{"flush ruleset", true},
		{"add table inet replypath", false},
		{"flush ruleset; add table inet replypath; delete table inet replypath", true},
	} {
		h.Run("nft", c.command)
		select {
		case p := <-events:
			if p.LostTable != c.lost {
				t.Errorf("%s: lost %t", c.command, p.LostTable)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: no event", c.command)
		}
	}
}
