package outbound

import (
	"strings"
	"testing"

	"replypath/test/box"
)

// A drained uplink gets no new outbound connections, after a restart of the service too, until it is put back. Those that it has
// stay, or are ended.
func TestDrainedUplinkGetsNoConnections(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startTiers(t, backend)
		g.awaitUplink(t, g.LAN, 0)
		held := g.hold(t, g.LAN, 4)
		g.Must(0, "drain", "isp0")
		g.awaitUplink(t, g.LAN, 1)
		if n := g.pinned(4, 0); n < 4 {
			t.Errorf("%d connections stay on the drained uplink", n)
		}
		s.Stop()
		s = g.startProbed()
		g.awaitUplink(t, g.LAN, 1)
		if text := g.Run("plan").String(); !strings.Contains(text, "isp0: it is drained") || !strings.Contains(text, "replypath undrain isp0") {
			t.Errorf("plan does not name it:\n%s", text)
		}
		g.Must(0, "drain", "isp0", "--move")
		g.awaitUnpinned(t, 0)
		wantEnded(t, "a host inside", held)
		g.Must(0, "undrain", "isp0")
		g.awaitUplink(t, g.LAN, 0)
		g.wantNoForeign(t)
		s.Stop()
	})
}
