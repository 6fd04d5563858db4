package service

import (
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

func TestBlackHoleTakesOnlyItsUplinkDown(t *testing.T) {
	t.Parallel()
	for _, filter := range []int{0, 1} {
		b := box.New(t, box.Conditions{RPFilter: filter}.Build(t, 2, world.Options{}))
		b.ConfigureProbes()
		b.Start()
		b.AwaitUp()
		for _, u := range b.Uplinks {
			box.SetBlackHole(u, true)
			s := b.AwaitState(u, health.Down)
			if reason := s.Uplinks[u.Index].Families[0].Reason; !strings.Contains(reason, "icmp://"+b.Client4.String()) {
				t.Errorf("%s is down because %q", u.Link.Name, reason)
			}
			box.SetBlackHole(u, false)
			b.AwaitState(u, health.Up)
		}
	}
}

func TestCarrierLossTakesItsUplinkDown(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.ConfigureProbes()
	b.Start()
	b.AwaitUp()
	second := b.Uplinks[1]
	second.Wire.Down()
	s := b.AwaitState(second, health.Down)
	if reason := s.Uplinks[1].Families[0].Reason; !strings.Contains(reason, "carrier") {
		t.Errorf("down because %q", reason)
	}
	second.Wire.Up() // a link that was down has lost its IPv6 addresses
	second.Wire.LinkLocal("fe80::1")
	second.Wire.Addr(second.Router6.String() + "/64")
	b.AwaitState(second, health.Up)
	changes := 0
	for _, e := range b.ServiceStatus().Events {
		if e.Kind == "state" && e.Uplink == "isp1" && e.Family == "ipv4" {
			changes++
		}
	}
	if changes != 3 {
		t.Errorf("%d changes of state are written down: %+v", changes, b.ServiceStatus().Events)
	}
}

func TestBrokenReplyPathIsReportedUnproven(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 0}.Build(t, 2, world.Options{}), backend)
		b.Start()
		b.AwaitUp()
		proven := func() bool {
			for _, u := range b.ServiceStatus().Uplinks {
				for _, f := range u.Families {
					if f.Proof.Routes.Result != health.Yes || f.Proof.Trace.Result != health.Yes {
						return false
					}
				}
			}
			return true
		}
		box.Eventually(t, box.EventualTimeout, "the reply path is proven", proven)
		b.Must(0, "status")
		b.Shell("ip rule add priority 1000 lookup main", "ip -6 rule add priority 1000 lookup main")
		s := b.AwaitState(b.Uplinks[1], health.Unproven)
		if p := s.Uplinks[1].Families[0].Proof.Routes; p.Cause != health.RuleShadowed || !strings.Contains(p.Detail, "1000") {
			t.Errorf("the cause is %+v", p)
		}
		b.Must(3, "status")
		b.Shell("ip rule del priority 1000", "ip -6 rule del priority 1000")
		b.AwaitState(b.Uplinks[1], health.Up)
		box.Eventually(t, box.EventualTimeout, "the reply path is proven again", proven)
	})
}
