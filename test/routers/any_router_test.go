package routers

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// configureAny writes a configuration in which the first router's uplink has all routers on its link.
func (o *office) configureAny() {
	o.T.Helper()
	o.configureFirst(`routers = "any"`)
}

// startAny returns an office whose service has the uplink of the first router alone, and finds the second one.
func startAny(t *testing.T, backend string) (*office, *router) {
	t.Helper()
	o := newOffice(t, backend)
	o.configureAny()
	box.ServeAll(o.Gateway)
	o.start(t)
	box.Eventually(t, box.EventualTimeout, "the service listens for routers", func() bool {
		return strings.Count(o.Gateway.Run("ss", "-0nlp"), "eth1") >= 2
	})
	return o, o.Routers[1]
}

// awaitFound waits until the rules have the router, after a first request by it that may be lost.
func (o *office) awaitFound(t *testing.T, r *router) {
	t.Helper()
	for _, to := range o.to() {
		box.Eventually(t, box.EventualTimeout, "the router is found", func() bool {
			q := box.NewRequest(world.KindPing, to)
			q.NoResend, q.Timeout = true, 200*time.Millisecond
			return r.Client.Send(q).OK
		})
	}
	o.awaitRouter(t, r.MAC)
}

func TestRepliesLeaveByRouterThatNoConfigurationNames(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, other := startAny(t, backend)
		o.awaitFound(t, other)
		o.wantReplies(t)
		for _, to := range o.to() {
			for _, kind := range []world.Kind{world.KindUDP, world.KindPing, world.KindTCP} {
				q := box.NewRequest(kind, to)
				q.NoResend = true
				if a := other.Client.Send(q); !a.OK {
					t.Errorf("%s to %s by the found router: %v", kind, to, a)
				}
			}
		}
		o.wantProofOf(t, 2)
		if d := o.RunDoctor(); len(d.Of("unknown-router")) > 0 {
			t.Error(d)
		}
		neighbours := o.Gateway.Run("ip", "neigh", "show", "nud", "permanent", "dev", "eth1")
		if strings.Count(neighbours, other.MAC) != 2 || strings.Contains(neighbours, o.Routers[0].MAC) {
			t.Errorf("neighbour entries:\n%s", neighbours)
		}
		if !slices.Contains(strings.Fields(o.Gateway.Run("ip", "route", "show", "table", "8231")), "240.0.82.31") {
			t.Error("there is no route to the router")
		}
	})
}

// A handshake that an unknown router begins goes on although neither the client nor the server repeats a packet: the host answers its
// first packet again, by that router.
func TestFirstConnectionByUnknownRouterIsAnswered(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, other := startAny(t, backend)
		o.Gateway.SetSysctl("net.ipv4.tcp_synack_retries", "0") // of both families (tcp(7))
		answers := other.Client.Link("eth0").Record(func(p world.Packet) bool { return p.Dir == world.In && p.Flags == world.SYN|world.ACK })
		from := []netip.Addr{other.Client4, other.Client6}
		for i, to := range o.to() {
			other.setMAC(fmt.Sprintf("02:00:00:0c:%02d:01", i))
			other.Client.Forge(world.Request{Kind: world.KindTCP, From: netip.AddrPortFrom(from[i], 4000), To: netip.AddrPortFrom(to, box.ServedPort)})
			if _, err := answers.Wait(t.Context(), func(p world.Packet) bool { return p.From(to) }); err != nil {
				t.Errorf("the first packet to %s is not answered by the router that sent it: %v", to, err)
			}
		}
	})
}

func TestFoundRouterIsRemembered(t *testing.T) {
	t.Parallel()
	o := newOffice(t, box.Backends[0])
	o.configureAny()
	box.ServeAll(o.Gateway)
	s := o.Start()
	other := o.Routers[1]
	o.awaitFound(t, other)
	o.Gateway.Run("ip", "neigh", "del", "240.0.82.31", "dev", "eth1")
	entry := func() bool {
		return strings.Contains(o.Gateway.Run("ip", "neigh", "show", "dev", "eth1"), "240.0.82.31 lladdr "+other.MAC+" PERMANENT")
	}
	box.Eventually(t, box.EventualTimeout, "the neighbour entry is repaired", entry)
	o.AwaitInSync()
	if r := o.Must(0, "plan"); strings.Contains(r.Stdout, "neigh") {
		t.Errorf("plan:\n%s", r.Stdout)
	}
	s.Stop()
	o.Gateway.Run("ip", "rule", "flush", "protocol", "82")
	o.Gateway.Run("ip", "neigh", "flush", "dev", "eth1", "nud", "permanent")
	o.Must(0, "apply")
	for _, to := range o.to() {
		q := box.NewRequest(world.KindUDP, to)
		q.NoResend = true
		if a := other.Client.Send(q); !a.OK {
			t.Errorf("after a restart, to %s: %v", to, a)
		}
	}
	o.Must(0, "flush")
	if left := o.Gateway.Run("ip", "neigh", "show", "nud", "permanent", "dev", "eth1") + o.Gateway.Run("ip", "route", "show", "table", "all"); strings.Contains(left, "240.0.82.") {
		t.Errorf("flush has left:\n%s", left)
	}
}

// A host that forges hardware addresses gets as many routers as there are ids, and takes nothing from the known router. Hosts on
// the link are no routers.
func TestForgedRoutersAreBounded(t *testing.T) {
	t.Parallel()
	o, other := startAny(t, box.Backends[0])
	desk := o.Host("desk")
	link, port := o.Join(desk, "eth0", o.Switch, "desk")
	o.Switch.Run("ip", "link", "set", port.Name, "master", "br0")
	link.Addr("192.0.2.99/24")
	box.WantReplies(t, desk, o.Addr4, kinds)
	for i := range 60 {
		other.setMAC(fmt.Sprintf("02:00:00:0c:00:%02x", i))
		other.Client.Forge(world.Request{Kind: world.KindPing, From: netip.AddrPortFrom(other.Client4, uint16(1000+i)), To: netip.AddrPortFrom(o.Addr4, 0)})
	}
	ids := 31 - 2 // of the mask, but those of the uplinks
	var found []health.FoundRouter
	box.Eventually(t, box.EventualTimeout, "the routers are found", func() bool {
		found = o.ServiceStatus().Uplinks[1].FoundRouters
		return len(found) >= ids
	})
	for _, r := range found {
		if !strings.HasPrefix(r.MAC, "02:00:00:0c:00:") || r.ID < 3 || r.ID > 31 {
			t.Errorf("found %+v", r)
		}
	}
	if len(found) > ids {
		t.Errorf("%d routers are found", len(found))
	}
	for _, to := range o.to() {
		box.WantReplies(t, o.Routers[0].Client, to, kinds)
	}
	o.wantProofOf(t, 2)
}

// The first question by an unknown router is answered when it is repeated, of every kind.
func TestFirstQuestionByUnknownRouterIsAnsweredWhenRepeated(t *testing.T) {
	t.Parallel()
	o, other := startAny(t, box.Backends[0])
	number := 0
	for _, to := range o.to() {
		for _, kind := range []world.Kind{world.KindPing, world.KindUDP, world.KindTCP} {
			number++
			other.setMAC(fmt.Sprintf("02:00:00:0c:01:%02d", number))
			q := box.NewRequest(kind, to)
			a := other.Client.Send(q)
			if errors.Is(a.Err, unix.ECONNRESET) {
				// The host that gets the stray SYN-ACK refuses it. If that comes after the repeated SYN, it ends the connection.
				a = other.Client.Send(box.NewRequest(kind, to))
			}
			if !a.OK {
				t.Errorf("%s to %s: %v", kind, to, a)
			}
			t.Logf("%s to %s: %s", kind, to, box.RoundDuration(a.Took))
		}
	}
}
