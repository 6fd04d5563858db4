package test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/world"
	"replypath/uplinks"
)

// configureProbes configures a box so that each uplink asks the client, in both families.
func (b *box) configureProbes(lines ...string) {
	b.t.Helper()
	var text strings.Builder
	for _, line := range slices.Concat(b.settings, lines) {
		fmt.Fprintln(&text, line)
	}
	for _, u := range b.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL)
		for name, to := range map[string]netip.Addr{"four": b.Client4, "six": b.Client6} {
			host := to.String()
			if to.Is6() {
				host = "[" + host + "]"
			}
			fmt.Fprintf(&text, "[uplinks.isp%d.probes.%s]\ntarget = \"icmp://%s\"\ninterval = \"200ms\"\ntimeout = \"500ms\"\nretry = \"100ms\"\n", u.Index, name, host)
		}
	}
	b.write(text.String())
}

// serviceStatus asks the running service.
func (b *box) serviceStatus() (s health.Status) {
	b.t.Helper()
	r := b.run("status", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		b.t.Fatalf("%v: %s", err, r)
	}
	return s
}

// eventualTimeout bounds on any machine what must happen at last; how soon is for the bench.
const eventualTimeout = 30 * time.Second

// states are how the uplinks stand, in both families.
func states(s health.Status) map[string]health.State {
	all := map[string]health.State{}
	for _, u := range s.Uplinks {
		for _, f := range u.Families {
			all[fmt.Sprintf("%s %s", u.Interface, f.Family)] = f.State
		}
	}
	return all
}

// awaitState waits until the uplink has the state in both families, and wants all others to be up all the time.
func (b *box) awaitState(u *world.Uplink, want health.State) (s health.Status) {
	b.t.Helper()
	eventually(b.t, eventualTimeout, fmt.Sprintf("%s is %s", u.Link.Name, want), func() bool {
		s = b.serviceStatus()
		all := states(s)
		for _, other := range b.Uplinks {
			for _, f := range uplinks.Families {
				if is := all[fmt.Sprintf("%s %s", other.Link.Name, f)]; other != u && is != health.Up {
					b.t.Fatalf("%s %s is %s, and nothing happened to it", other.Link.Name, f, is)
				}
			}
		}
		return all[u.Link.Name+" IPv4"] == want && all[u.Link.Name+" IPv6"] == want
	})
	return s
}

func (b *box) awaitUp() {
	b.t.Helper()
	eventually(b.t, eventualTimeout, "all uplinks are up", func() bool {
		all := states(b.serviceStatus())
		for _, u := range b.Uplinks {
			for _, f := range uplinks.Families {
				if all[fmt.Sprintf("%s %s", u.Link.Name, f)] != health.Up {
					return false
				}
			}
		}
		return true
	})
}

// dead makes the ISP take everything and pass on nothing.
func dead(u *world.Uplink, is bool) {
	value := map[bool]string{true: "0", false: "1"}[is]
	u.ISP.SetSysctl("net.ipv4.ip_forward", value)
	u.ISP.SetSysctl("net.ipv6.conf.all.forwarding", value)
}

func TestBlackHoleTakesOnlyItsUplinkDown(t *testing.T) {
	t.Parallel()
	for _, filter := range []int{0, 1} {
		b := newBox(t, conditions{rpFilter: filter}.build(t, 2, world.Options{}))
		b.configureProbes()
		b.start()
		b.awaitUp()
		for _, u := range b.Uplinks {
			dead(u, true)
			s := b.awaitState(u, health.Down)
			if reason := s.Uplinks[u.Index].Families[0].Reason; !strings.Contains(reason, "icmp://"+b.Client4.String()) {
				t.Errorf("%s is down because %q", u.Link.Name, reason)
			}
			dead(u, false)
			b.awaitState(u, health.Up)
		}
	}
}

func TestCarrierLossTakesItsUplinkDown(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.configureProbes()
	b.start()
	b.awaitUp()
	second := b.Uplinks[1]
	second.Wire.Down()
	s := b.awaitState(second, health.Down)
	if reason := s.Uplinks[1].Families[0].Reason; !strings.Contains(reason, "carrier") {
		t.Errorf("down because %q", reason)
	}
	second.Wire.Up() // a link that was down has lost its IPv6 addresses
	second.Wire.LinkLocal("fe80::1")
	second.Wire.Addr(second.Router6.String() + "/64")
	b.awaitState(second, health.Up)
	changes := 0
	for _, e := range b.serviceStatus().Events {
		if e.Kind == "state" && e.Uplink == "isp1" && e.Family == "ipv4" {
			changes++
		}
	}
	if changes != 3 {
		t.Errorf("%d changes of state are written down: %+v", changes, b.serviceStatus().Events)
	}
}

func TestBrokenReplyPathIsReportedUnproven(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, conditions{rpFilter: 0}.build(t, 2, world.Options{}), backend)
		b.start()
		b.awaitUp()
		proven := func() bool {
			for _, u := range b.serviceStatus().Uplinks {
				for _, f := range u.Families {
					if f.Proof.Routes.Result != health.Yes || f.Proof.Trace.Result != health.Yes {
						return false
					}
				}
			}
			return true
		}
		eventually(t, eventualTimeout, "the reply path is proven", proven)
		b.must(0, "status")
		b.shell("ip rule add priority 1000 lookup main", "ip -6 rule add priority 1000 lookup main")
		s := b.awaitState(b.Uplinks[1], health.Unproven)
		if p := s.Uplinks[1].Families[0].Proof.Routes; p.Cause != health.RuleShadowed || !strings.Contains(p.Detail, "1000") {
			t.Errorf("the cause is %+v", p)
		}
		b.must(3, "status")
		b.shell("ip rule del priority 1000", "ip -6 rule del priority 1000")
		b.awaitState(b.Uplinks[1], health.Up)
		eventually(t, eventualTimeout, "the reply path is proven again", proven)
	})
}
