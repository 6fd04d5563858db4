package verify

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// TestReplyWithoutCarrierDoesNotLeaveLater takes the carrier of an uplink away when the datagram of a proof has arrived at the host inside: the
// kernel forgets the gateway's hardware address, for which the reply waits. When the link is back, the reply must not leave.
func TestReplyWithoutCarrierDoesNotLeaveLater(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		u := b.Uplinks[0]
		b.Configure(u)
		addDNATOf7001(b, u)
		b.Apply()
		for family, inside := range map[int]netip.Addr{4: b.LAN4, 6: b.LAN6} {
			replyWithoutCarrier(t, b, map[int]string{4: "-4", 6: "-6"}[family], inside)
		}
	})
}

// replyWithoutCarrier runs verify, and replies to its datagram while the uplink has no carrier.
func replyWithoutCarrier(t *testing.T, b *box.Box, family string, inside netip.Addr) {
	t.Helper()
	verify, server, from, _ := verifyAsks(t, b, inside)
	defer server.Close()
	late := b.Uplinks[0].Wire.Record(func(p world.Packet) bool { return p.Dir == world.In && p.To(from.Addr()) })
	b.Gateway.Run("ip", family, "neigh", "flush", "dev", "eth0")
	box.SetNoCarrier(b.Uplinks[0], true)
	if _, err := server.WriteToUDPAddrPort([]byte("reply"), from); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- verify.Wait() }()
	select {
	case <-ended:
		ended <- nil
	case <-time.After(time.Second): // it waits for the reply
	}
	box.SetNoCarrier(b.Uplinks[0], false)
	<-ended
	box.Eventually(t, box.EventualTimeout, "the gateway of "+family+" is resolved or given up", func() bool {
		return !strings.Contains(b.Gateway.Run("ip", family, "neigh", "show", "dev", "eth0"), "INCOMPLETE")
	})
	b.Settle()
	if packets := late.Packets(); len(packets) != 0 {
		t.Errorf("%d replies to the proof left, the first: %s", len(packets), packets[0])
	}
}
