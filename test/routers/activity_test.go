package routers

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
)

// activityOf returns what the status has of a router of the uplink cable.
func (o *office) activityOf(mac string) (a health.RouterActivity, known bool) {
	o.T.Helper()
	for _, u := range o.ServiceStatus().Uplinks {
		for _, r := range u.RouterActivity {
			if u.Name != "cable" {
				o.T.Errorf("%s has the router %+v", u.Name, r)
			}
			if r.MAC == mac {
				a, known = r, true
			}
		}
	}
	return a, known
}

// The routers of one uplink are distinguished: which has sent how many requests, which of their addresses has which hardware address, and
// when each was seen last.
func TestRoutersOfOneUplinkAreDistinguished(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newPair(t, false, backend)
		p.Settings = append(p.Settings, "[proof]", `every = "off"`) // its requests seem to come from a router
		box.ServeAll(p.Gateway)
		p.configure("", `routers = ["192.0.2.12", "192.0.2.13"]`)
		p.start(t)
		cable, first, second := p.Routers[1], p.members[0], p.members[1]
		for i, m := range p.members {
			p.awaitRouter(t, m.mac)
			own := netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", 12+i))
			box.Eventually(t, box.EventualTimeout, "the status has the router's address", func() bool {
				a, _ := p.activityOf(m.mac)
				return strings.Contains(fmt.Sprint(a.Addresses), own.String()) && !a.Seen.IsZero()
			})
		}
		box.Eventually(t, box.EventualTimeout, "the router in charge has the address of the pair", func() bool {
			a, _ := p.activityOf(first.mac)
			return slices.Contains(a.Addresses, netip.MustParseAddr("192.0.2.3"))
		})
		p.AwaitInSync()
		base := map[*member]uint64{}
		for n, m := range p.members {
			a, _ := p.activityOf(m.mac)
			base[m] = a.Requests
			by := &pinger{office: p.office, frames: p.rawFramesBy(t, m.Link("w0"), "eth1"), replies: repliesAt(t, p.Port), asked: uint16(1000 * (n + 1)), from: []netip.Addr{cable.Client4, cable.Client6}, to: p.to()}
			mac, err := net.ParseMAC(m.mac)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 + 2*n {
				by.ask(t, 0, mac)
				by.ask(t, 1, mac)
			}
		}
		for n, m := range p.members {
			want := base[m] + uint64(2*(3+2*n))
			box.Eventually(t, box.EventualTimeout, fmt.Sprintf("%d requests of %s are counted", want, m.Name), func() bool {
				a, _ := p.activityOf(m.mac)
				return a.Requests == want
			})
			p.wantRouterTexts(t, m.mac, fmt.Sprint(want))
		}
		second.Link("w0").Down()
		var last time.Time
		box.Eventually(t, box.EventualTimeout, "only the other router is seen", func() bool {
			there, _ := p.activityOf(first.mac)
			gone, known := p.activityOf(second.mac)
			last = gone.Seen
			return known && there.Seen.Sub(gone.Seen) > 3*routerInterval
		})
		second.Link("w0").Up()
		box.Eventually(t, box.EventualTimeout, "the router is seen again", func() bool {
			a, _ := p.activityOf(second.mac)
			return a.Seen.After(last)
		})
	})
}

// routerInterval is the time between two questions for the hardware address of a router.
const routerInterval = time.Second

// wantRouterTexts wants the text of status and the metrics to have the router's requests.
func (o *office) wantRouterTexts(t *testing.T, mac, requests string) {
	t.Helper()
	text := strings.Join(strings.Fields(o.Run("status").Stdout), " ")
	_, row, _ := strings.Cut(text, mac+" (")
	if row, _, _ = strings.Cut(row, ")"); !strings.Contains(row, " "+requests+" requests, seen ") {
		t.Errorf("status has %q of %s:\n%s", row, mac, text)
	}
	_, metrics := box.GetFrom(t, o.Gateway, "http://127.0.0.1:9717/metrics")
	for _, want := range []string{
		fmt.Sprintf("replypath_router_requests_total{interface=\"eth1\",mac=%q,uplink=\"cable\"} %s\n", mac, requests),
		fmt.Sprintf("replypath_router_seen_timestamp_seconds{interface=\"eth1\",mac=%q,uplink=\"cable\"} ", mac),
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics have no %q", want)
		}
	}
}
