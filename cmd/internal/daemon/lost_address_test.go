package daemon

import (
	"context"
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
		k, _ := newOutboundReconciler(t, outboundTestSettings())
		moved := &recordedMoves{}
		k.mover.kernel = moved
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- k.mover.Run(ctx) }()
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
		<-ended
		if want := []string{"fibre", "fibre"}; !slices.Equal(moved.uplinks, want) {
			t.Errorf("moved those of %v, want %v", moved.uplinks, want)
		}
	})
}
