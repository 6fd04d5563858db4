package outbound

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// lossesOfTranslation are ways in which another program ends the translation of sources, alone or together with the marks.
var lossesOfTranslation = map[string]struct {
	nft      string
	iptables []string // on the table nat
	mangle   bool     // and the table mangle is flushed
}{
	"an empty chain":            {"flush chain inet replypath ip-nat1; flush chain inet replypath ip-nat2; flush chain inet replypath ip6-nat1; flush chain inet replypath ip6-nat2", []string{"-F REPLYPATH-NAT"}, false},
	"no hook in POSTROUTING":    {"flush chain inet replypath ip-nat-postrouting; flush chain inet replypath ip6-nat-postrouting", []string{"-F POSTROUTING"}, false},
	"no rule of NAT":            {"flush chain inet replypath nat-postrouting", []string{"-F"}, false},
	"neither marks nor any NAT": {"delete table inet replypath", []string{"-F"}, true},
}

// loseTranslation ends the translation of sources in both families.
func (g *gateway) loseTranslation(backend, name string) {
	g.T.Helper()
	loss := lossesOfTranslation[name]
	if backend == box.Nftables {
		g.Gateway.Run("nft", loss.nft)
		return
	}
	for _, family := range []int{4, 6} {
		if loss.mangle {
			g.Iptables(family, "-t", "mangle", "-F")
		}
		for _, line := range loss.iptables {
			g.Iptables(family, append([]string{"-t", "nat"}, strings.Fields(line)...)...)
		}
	}
}

// When another program ends the translation of sources, and no service repairs it, new connections are translated as before, and open
// ones go on: with their marks by the uplink that they have, which the policy does not use any more.
func TestConnectionsAreTranslatedWithoutChainsOfNAT(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		for name, loss := range lossesOfTranslation {
			first := 1
			if loss.mangle {
				first = 0
			}
			g.outbound(balanced(fmt.Sprintf(`[["isp%d"], ["isp%d"]]`, first, 1-first))...)
			g.Apply()
			g.awaitUplink(t, g.LAN, first)
			held := g.hold(t, g.LAN, 5)
			g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
			g.Apply()
			g.awaitUplink(t, g.LAN, 0)
			g.loseTranslation(backend, name)
			for _, to := range g.servers() {
				for _, kind := range []world.Kind{world.KindUDP, world.KindTCP} {
					if share := g.send(t, g.LAN, kind, to, 3); share[0] != 3 {
						t.Errorf("%s: %s to %s: %v by each uplink", name, kind, to, share)
					}
				}
				if a := g.LAN.Send(box.NewRequest(world.KindPing, to)); !a.OK {
					t.Errorf("%s: ping to %s: %v", name, to, a)
				}
			}
			wantAlive(t, name, 5, held)
			g.Apply()
			wantAlive(t, "the repair of "+name, 5, held)
			g.wantNoForeign(t)
		}
	})
}

// trafficPause leaves the service the time to repair: connections without a pause take both CPUs.
const trafficPause = time.Millisecond

// traffic begins connections of the LAN to both servers, of each kind, again and again. end ends it and returns how many were begun, and
// how many of them were not answered.
func (g *gateway) traffic(t *testing.T) (end func() (begun, lost int)) {
	t.Helper()
	var running sync.WaitGroup
	var n, failed atomic.Int64
	stop := make(chan struct{})
	for _, to := range g.servers() {
		for _, kind := range []world.Kind{world.KindUDP, world.KindTCP, world.KindPing} {
			running.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					q := box.NewRequest(kind, to)
					q.Timeout = 20 * time.Second
					a := g.LAN.Send(q)
					if errors.Is(a.Err, unix.EADDRINUSE) { // the port that the world has chosen is in use
						continue
					}
					time.Sleep(trafficPause)
					n.Add(1)
					if !a.OK {
						failed.Add(1)
						t.Logf("%s to %s: %v", kind, to, a)
					}
				}
			})
		}
	}
	return func() (begun, lost int) {
		close(stop)
		running.Wait()
		return int(n.Load()), int(failed.Load())
	}
}

// awaitRepair waits until everything is as it was planned.
func (g *gateway) awaitRepair(t *testing.T) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "everything is repaired", func() bool { return g.Run("plan").Status == 0 })
}

// While the service repairs the translation of sources, under load, connections begin and go on as if nothing had happened.
func TestTrafficDoesNotFeelTheLossOfTranslation(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startOnFirst(t, backend)
		held := g.hold(t, g.LAN, 5)
		end := g.traffic(t)
		for range 3 {
			for name := range lossesOfTranslation {
				g.loseTranslation(backend, name)
				g.awaitRepair(t)
			}
		}
		if begun, lost := end(); lost > 0 || begun == 0 {
			t.Errorf("%d of %d connections were not answered", lost, begun)
		}
		wantAlive(t, "the repairs", 5, held)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// With protect = true the backup cannot be flushed either, and restores marks that iptables does not: connections by an uplink that the
// policy does not use any more keep to it.
func TestTrafficDoesNotFeelFlushesOfProtectedTables(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		g.Settings = append([]string{"protect = true"}, g.Settings...)
		g.outbound(balanced(`[["isp1"], ["isp0"]]`)...)
		s := g.Start()
		g.AwaitInSync()
		g.awaitUplink(t, g.LAN, 1)
		held := g.hold(t, g.LAN, 5)
		g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
		g.Must(0, "reload")
		g.awaitUplink(t, g.LAN, 0)
		end := g.traffic(t)
		for range 10 {
			g.Shell("nft flush ruleset")
			if backend != box.Nftables {
				g.loseTranslation(backend, "neither marks nor any NAT")
			}
			wantAlive(t, "a flush", 5, held)
			g.awaitRepair(t)
		}
		if begun, lost := end(); lost > 0 || begun == 0 {
			t.Errorf("%d of %d connections were not answered", lost, begun)
		}
		g.wantNoForeign(t)
		s.Stop()
	})
}

// A flush deletes tables in the order in which they were made, while packets pass: the table that translates once more is younger than
// those that give marks, from the start and after each repair.
func TestBackupIsYoungerThanTablesThatGiveMarks(t *testing.T) {
	t.Parallel()
	for backend, marking := range map[string][]string{box.Backends[0]: {"ip mangle", "ip6 mangle"}, box.Nftables: {"inet replypath"}} {
		t.Run(marking[0], func(t *testing.T) {
			g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
			s := g.Start()
			awaitYoungest := func(when string) {
				t.Helper()
				g.AwaitInSync()
				box.Eventually(t, box.EventualTimeout, "the backup is the youngest table "+when, func() bool { // it is made anew right after them
					tables := g.Gateway.Run("nft", "list", "tables")
					at := strings.Index(tables, "table inet replypath-backup\n")
					return !slices.ContainsFunc(marking, func(table string) bool {
						i := strings.Index(tables, "table "+table+"\n")
						return i < 0 || at < i
					})
				})
			}
			awaitYoungest("at the start")
			for _, table := range marking {
				g.Gateway.Run("nft", "delete", "table", table)
			}
			awaitYoungest("after the tables that give marks were deleted")
			g.Gateway.Run("nft", "flush", "ruleset")
			awaitYoungest("after a flush")
			s.Stop()
		})
	}
}
