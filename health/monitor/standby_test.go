package monitor

import (
	"net/netip"
	"testing"
	"time"

	"replypath/health"
)

// setStandby takes the address of the first path to the other node, or back.
func setStandby(h *harness, there bool) {
	h.paths[0].Source, h.paths[0].Standby = netip.MustParseAddr("198.51.100.1"), netip.Addr{}
	if there {
		h.paths[0].Source, h.paths[0].Standby = h.paths[0].Standby, h.paths[0].Source
	}
	h.monitor.UpdatePath(h.paths[0])
}

func TestTakeOverIsNeitherAnOutageNorAFlap(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(time.Minute)
		for range 3 {
			setStandby(h, true)
			h.expectStates("the VIP has left", health.Standby, health.Up)
			sent := h.network.count("fibre")
			h.advance(time.Minute)
			if more := h.network.count("fibre") - sent; more != 0 {
				t.Errorf("%d probes were sent without an address", more)
			}
			setStandby(h, false)
			h.expectStates("the VIP has come, and no probe is answered yet", health.Standby, health.Up)
			if took := h.waitForState("fibre", health.Up); took > time.Second {
				t.Errorf("the first answer counts after %v", took)
			}
			h.advance(time.Second)
		}
		if got := h.status("fibre"); got.Flaps != 0 || got.HoldDownSeconds != 0 || got.StateChanges != 6 {
			t.Errorf("%+v", got)
		}
	})
}

func TestTakenOverUplinkThatDoesNotWorkIsDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		h.advance(time.Minute)
		setStandby(h, true)
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.advance(time.Minute)
		setStandby(h, false)
		if took, most := h.waitForState("fibre", health.Down), icmpProbe(targetHost).DetectionTime(); took > most {
			t.Errorf("down after %v, at most %v", took, most)
		}
	})
}

func TestStandbyUplinkWhoseLinkFailsIsDown(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		setStandby(h, true)
		h.advance(time.Second)
		h.monitor.UpdateLink("eth0", true, false)
		h.expectStates("without carrier", health.Down, health.Up)
		h.monitor.UpdateLink("eth0", true, true)
		h.expectStates("with carrier", health.Standby, health.Up)
	})
}
