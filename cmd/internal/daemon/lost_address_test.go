package daemon

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"replypath/uplinks"
)

// Connections with an address that their uplink has no longer are ended although it is in use, also those that begin meanwhile.
func TestConnectionsWithALostAddressAreEndedOnAnUplinkInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _, moved, stop := startRecordedMover(t)
		f := k.lastFacts
		f.Links = maps.Clone(f.Links)
		l := f.Links["eth0"]
		l.Addrs = slices.Clone(l.Addrs)
		i := slices.IndexFunc(l.Addrs, func(a uplinks.Addr) bool { return a.Prefix.Addr().Is4() })
		l.Addrs[i].Prefix = netip.MustParsePrefix("198.51.100.77/24")
		f.Links["eth0"] = l
		k.mover.round(k.lastSettings, f, k.verdicts.Snapshot())
		time.Sleep(2 * secondSweep)
		stop()
		if want := []string{"fibre", "fibre"}; !slices.Equal(moved.uplinks, want) {
			t.Errorf("moved those of %v, want %v", moved.uplinks, want)
		}
	})
}

// An uplink that is down when its address is lost has two moves at once, whichever comes first. The move of those with the lost address is
// carried out twice, also when the uplink is in use again before the other one.
func TestLostAddressesAreNotForgottenForAMoveOfAllConnections(t *testing.T) {
	lost, down := testMove(uplinks.IPv6, true, "lost", "2001:db8:a::2").Move, testMove(uplinks.IPv6, false, "down").Move
	lost4, down4 := testMove(uplinks.IPv4, true, "lost").Move, testMove(uplinks.IPv4, false, "down").Move
	for name, queued := range map[string][]uplinks.Move{
		"lost, down": {lost, down}, "down, lost": {down, lost}, "both families": {down, down4, lost, lost4},
	} {
		for _, usedAgain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, used again: %t", name, usedAgain), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, _ := newOutboundReconciler(t, outboundTestSettings())
					kernel := &busyMover{release: make(chan struct{})}
					k.mover.kernel = kernel
					stop := runMover(t, k.mover)
					k.mover.inForce.Store(nil)
					k.mover.queue([]uplinks.Move{{Path: uplinks.PathKey{Uplink: "lte", Family: uplinks.IPv4}}}) // while it is carried out, others come
					synctest.Wait()
					for _, m := range queued {
						k.mover.queue([]uplinks.Move{m})
						synctest.Wait()
					}
					if usedAgain {
						used := map[uplinks.PathKey]bool{lost.Path: true, {Uplink: "fibre", Family: uplinks.IPv4}: true}
						k.mover.inForce.Store(&movesInForce{k.lastSettings, k.lastFacts, used})
					}
					close(kernel.release)
					time.Sleep(3 * secondSweep)
					stop()
					want, all := 2, 0
					for _, m := range kernel.moves {
						if m.Path == lost.Path && m.LostOnly && slices.Equal(m.Lost, lost.Lost) {
							want--
						}
						if m.Path.Uplink == "fibre" && !m.LostOnly {
							all++
						}
					}
					if want != 0 || usedAgain != (all == 0) {
						t.Errorf("moved %+v", kernel.moves)
					}
				})
			})
		}
	}
}
