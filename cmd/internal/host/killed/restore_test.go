package killed

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/uplinks/snapshot"
)

// restore restores a snapshot, or undoes that, until the kernel kills the process.
func (c killedRun) restore(k *killedKernel, h *host.Host) error {
	ctx := context.Background()
	plan, err := h.PlanUndo(ctx, *c.Undo)
	if !c.Back {
		plan, err = h.PlanRestore(ctx, c.Undo.Restored, true)
	}
	if err != nil {
		return err
	}
	_, err = plan.Execute(ctx, k, func(s host.RestoreStep, ctx context.Context) error {
		k.writesLeft--
		err := s.Do(ctx)
		k.killIfDone()
		return err
	})
	return err
}

// Connections live through a restore, and through its rollback, by processes that are killed after one write each, or a few. In the end all is
// as in the snapshot, and then as before, each rule and route once.
func TestKillAtAnyWriteOfARestoreIsCompletedByTheNext(t *testing.T) {
	for backend, after := range map[marks.Backend]int{marks.NFT: 1, marks.Legacy: 3, marks.Nftables: 3} {
		t.Run(string(backend), func(t *testing.T) {
			t.Parallel()
			s := newConnectedHost(t, backend)
			tool := "nft"
			if backend == marks.Legacy {
				tool = "legacy"
			}
			run := func(lines ...string) {
				t.Helper()
				for _, l := range lines {
					s.w.Gateway.Run("sh", "-c", l)
				}
			}
			s.sync(s.settings(2))
			for _, family := range []string{"-4", "-6"} {
				net, net2, via := "198.18.98.0/24", "198.18.99.0/24", s.w.Uplinks[1].Router4
				iptables := "iptables-" + tool + " -w -t mangle "
				if family == "-6" {
					net, net2, via, iptables = "2001:db8:78::/48", "2001:db8:79::/48", s.w.Uplinks[1].Router6, "ip6tables-"+tool+" -w -t mangle "
				}
				run(fmt.Sprintf("ip %s route add %s table 77 metric 5 via %s dev eth1", family, net, via),
					fmt.Sprintf("ip %s route add %s dev lan0 table 78 protocol static", family, net2),
					fmt.Sprintf("ip %s rule add priority 1500 to %s lookup 77", family, net), fmt.Sprintf("ip %s rule add priority 1500 to %s lookup 78", family, net2),
					iptables+"-N OTHERS", iptables+"-A OTHERS -j MARK --set-xmark 0x10000/0x10000", iptables+"-A FORWARD -i eth7 -j OTHERS")
			}
			run("sysctl -qw net.ipv4.conf.lan0.rp_filter=2")
			u := snapshot.Undo{Restored: s.document(), Ours: true, Others: true}
			s.sync(s.settings(0))
			for _, family := range []string{"-4", "-6"} {
				iptables := map[string]string{"-4": "iptables-", "-6": "ip6tables-"}[family] + tool + " -w -t mangle "
				run("ip "+family+" route flush table 77", "ip "+family+" route flush table 78", "while ip "+family+" rule del priority 1500 2>/dev/null; do :; done",
					iptables+"-F FORWARD", iptables+"-F OTHERS", iptables+"-X OTHERS")
			}
			run("ip -4 rule add priority 1500 to 198.18.99.0/24 ipproto udp lookup 78", "sysctl -qw net.ipv4.conf.lan0.rp_filter=0",
				fmt.Sprintf("ip route add 198.18.98.0/24 table 77 metric 5 via %s dev eth0", s.w.Uplinks[0].Router4))
			u.Before = s.document()
			s.killRestore(u, after, "rule ipv4 priority 1500 to 198.18.99.0/24")
		})
	}
}

// killRestore restores, and undoes that, by processes that are killed after so many writes each, until all is done. A rule stays beside
// what is restored.
func (s *connectedHost) killRestore(u snapshot.Undo, after int, stays string) {
	s.t.Helper()
	for _, phase := range []struct {
		name string
		back bool
		want snapshot.Document
		more string
	}{{"restore", false, u.Restored, stays}, {"rollback", true, u.Before, "none"}} {
		writes := 0
		for ; s.killRun(killedRun{State: s.state, After: after, Settings: s.settings(0), Undo: &u, Back: phase.back}); writes += after {
			s.checkConnections(fmt.Sprintf("%s killed after write %d", phase.name, after+writes))
		}
		for _, c := range snapshot.Compare(phase.want, s.document()) {
			if !strings.Contains(c.Line, phase.more) && c.What != snapshot.Reordered {
				s.t.Errorf("%s: %s", phase.name, c)
			}
		}
		s.t.Logf("%s killed every %d of %d writes", phase.name, after, writes)
		if writes < 40 {
			s.t.Errorf("%s: there were only %d writes", phase.name, writes)
		}
	}
}

// document returns a snapshot by the program.
func (s *connectedHost) document() (d snapshot.Document) {
	s.t.Helper()
	var err error
	s.w.Gateway.Do(func() {
		var h *host.Host
		if h, err = host.Open(s.t.Context(), host.Options{StateDir: s.state, Backend: marks.Auto}); err == nil {
			defer h.Close()
			d, err = h.Snapshot(s.t.Context())
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}
