package routers

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

const (
	flapPause = 20 * time.Millisecond // between two changes
	flapTime  = 2 * time.Second       // at least
)

// flaps are changes of neighbour entries, forth and back.
type flaps struct {
	began time.Time
	done  chan struct{}
	ended chan error
}

// startFlaps changes the entries of routers by the lines for ip(8), one set after the other, until stop.
func (o *office) startFlaps(t *testing.T, sets ...string) *flaps {
	t.Helper()
	cmd := o.Gateway.Command(t.Context(), "ip", "-batch", "-")
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	f := &flaps{began: time.Now(), done: make(chan struct{}), ended: make(chan error, 1)}
	go func() {
		ticks := time.NewTicker(flapPause)
		defer ticks.Stop()
		for n := 0; ; n++ {
			select {
			case <-f.done:
				input.Close()
				f.ended <- cmd.Wait()
				return
			case <-ticks.C:
				_, _ = io.WriteString(input, sets[n%len(sets)]) // Wait returns the error of a command that has ended
			}
		}
	}()
	return f
}

// stop ends the changes once they have gone on for flapTime.
func (f *flaps) stop(t *testing.T) {
	t.Helper()
	time.Sleep(time.Until(f.began.Add(flapTime)))
	close(f.done)
	if err := <-f.ended; err != nil {
		t.Fatalf("ip -batch: %v", err)
	}
}

// entries returns the lines for ip(8) that give both addresses of the router another hardware address.
func entries(r *router, mac string) (lines string) {
	for _, a := range []netip.Addr{r.Addr4, r.LL} {
		lines += fmt.Sprintf("neigh replace %s dev eth1 lladdr %s nud reachable\n", a, mac)
	}
	return lines
}

// TestFlappingRoutersLeaveTheRulesRight changes neighbour entries every 20 ms, between two hardware addresses of one router, or between
// those of two uplinks. Meanwhile the service repairs what another program deletes. Afterwards its rules are right.
func TestFlappingRoutersLeaveTheRulesRight(t *testing.T) {
	const second = "02:00:00:0b:05:01"
	for name, sets := range map[string]func(dsl, cable *router) []string{
		"one router": func(_, cable *router) []string { return []string{entries(cable, second), entries(cable, cable.MAC)} },
		"two routers": func(dsl, cable *router) []string {
			return []string{entries(dsl, cable.MAC) + entries(cable, dsl.MAC), entries(dsl, dsl.MAC) + entries(cable, cable.MAC)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			box.EachFirewall(t, func(t *testing.T, backend string) {
				o, cable := startKnowing(t, backend)
				dsl := o.Routers[0]
				o.awaitRouter(t, dsl.MAC)
				before := o.ServiceStatus().Rounds
				f := o.startFlaps(t, sets(dsl, cable)...)
				for range 3 {
					o.wantRuleRepaired(t)
				}
				f.stop(t)
				rounds := o.ServiceStatus().Rounds - before
				for _, r := range o.Routers {
					o.neighbour(r, r.MAC, "reachable")
				}
				box.Eventually(t, box.EventualTimeout, "each router is that of its uplink alone", func() bool {
					all := o.ServiceStatus().Uplinks[1:]
					return slices.Contains(all[0].Routers, dsl.MAC) && !slices.Contains(all[0].Routers, cable.MAC) &&
						slices.Contains(all[1].Routers, cable.MAC) && !slices.Contains(all[1].Routers, dsl.MAC)
				})
				o.AwaitInSync()
				o.wantReplies(t)
				strays := dsl.countStrays(cable, box.ServedPort)
				for _, to := range o.to() {
					for _, kind := range []world.Kind{world.KindUDP, world.KindTCP} {
						q := box.NewRequest(kind, to)
						q.NoResend = true
						if a := cable.Client.Send(q); !a.OK {
							t.Errorf("%s to %s: %v", kind, to, a)
						}
					}
				}
				if n := strays.packets(t); n > 0 {
					t.Errorf("%d packets leave by the other router", n)
				}
				t.Logf("%d rounds", rounds)
			})
		})
	}
}

// wantRuleRepaired deletes a rule of the service's, and waits until it is there again.
func (o *office) wantRuleRepaired(t *testing.T) {
	t.Helper()
	const table = "8203"
	priority, _, _ := strings.Cut(o.Gateway.Run("ip", "rule", "show", "table", table), ":")
	o.Gateway.Run("ip", "rule", "del", "priority", priority, "table", table)
	box.Eventually(t, box.EventualTimeout, "a rule that another program deletes is repaired", func() bool {
		return strings.HasPrefix(o.Gateway.Run("ip", "rule", "show", "table", table), priority+":")
	})
}
