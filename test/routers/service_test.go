package routers

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// awaitRouter waits until the rules have the hardware address for the router's uplink, in both families.
func (o *office) awaitRouter(t *testing.T, mac string) {
	t.Helper()
	for _, family := range []int{4, 6} {
		box.Eventually(t, box.EventualTimeout, "the rules have "+mac, func() bool {
			return strings.Contains(strings.ToLower(o.rules(family)), mac)
		})
	}
}

// start starts the service, which ends with the context of the test, and waits for its end: it saves what it learns.
func (o *office) start(t *testing.T) {
	t.Helper()
	s := o.Start()
	t.Cleanup(func() { <-s.Ended })
}

// startKnowing returns an office whose service knows the second router, which it returns too.
func startKnowing(t *testing.T, backend string) (*office, *router) {
	t.Helper()
	o := newOffice(t, backend)
	box.ServeAll(o.Gateway)
	o.start(t)
	o.awaitRouter(t, o.Routers[1].MAC)
	return o, o.Routers[1]
}

// tableObject begins a chain or a map in a listing of nft(8).
var tableObject = regexp.MustCompile("\t(?:chain|map) ")

// rules returns the rules of a family by which routers are distinguished.
func (o *office) rules(family int) string {
	for _, line := range o.Settings {
		if line == box.Nftables {
			// Both families are in one table, and change one after the other.
			var text strings.Builder
			for i, object := range tableObject.Split(o.Gateway.Run("nft", "list", "table", "inet", "replypath"), -1) {
				if i > 0 && strings.HasPrefix(object, map[int]string{4: "ip-", 6: "ip6-"}[family]) {
					text.WriteString(object)
				}
			}
			return text.String()
		}
	}
	return o.Iptables(family, "-w", "-t", "mangle", "-S")
}

func TestServiceLearnsRouters(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		box.ServeAll(o.Gateway)
		o.start(t)
		for _, r := range o.Routers {
			o.awaitRouter(t, r.MAC)
		}
		o.wantReplies(t)
		o.wantProof(t)
		for i, u := range o.ServiceStatus().Uplinks {
			if want := [][]string{nil, {o.Routers[0].MAC}, {o.Routers[1].MAC}}[i]; !slices.Equal(u.Routers, want) {
				t.Errorf("status has the routers %v of %s, want %v", u.Routers, u.Name, want)
			}
		}
	})
}

// wantProof wants verify to show that replies leave by the uplinks of all three routers.
func (o *office) wantProof(t *testing.T) {
	t.Helper()
	o.wantProofOf(t, 1+len(o.Routers))
}

// wantProofOf wants verify to show that replies leave by the uplinks, whose number it gets.
func (o *office) wantProofOf(t *testing.T, number int) {
	t.Helper()
	v := o.Verify()
	if v.Result != "yes" || len(v.Paths) != 2*number {
		t.Errorf("verify: %q of %d paths", v.Result, len(v.Paths))
	}
	for _, p := range v.Paths {
		if p.Asked.Result != "yes" || p.Shown.Result != "yes" {
			t.Errorf("%s %s: asked %s, shown %s: %+v", p.Uplink, p.Family, p.Asked, p.Shown, p.Questions)
		}
	}
}

func TestServiceFollowsChangedRouter(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		before := cable.MAC
		cable.setMAC("02:00:00:0b:03:01")
		o.awaitRouter(t, cable.MAC)
		o.wantReplies(t)
		o.awaitRouter(t, before) // for a while, packets of both are its own
	})
}

// What begins between the change of a router's hardware address and its learning is marked as of the first uplink: the first
// packet after it is known moves the connection.
func TestConnectionIsMovedWhenChangedRouterIsKnown(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		var streams []*world.Stream
		for _, to := range o.to() {
			s, err := cable.Client.Stream(box.NewRequest(world.KindTCP, to))
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		cable.setMAC("02:00:00:0b:03:01")
		o.wantReplies(t)
		for _, s := range streams {
			if err := s.Await(t.Context(), 1<<20); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestLearntRoutersAreKnownAfterRestart starts the service anew while the router does not answer.
func TestLearntRoutersAreKnownAfterRestart(t *testing.T) {
	t.Parallel()
	o := newOffice(t, box.Backends[0])
	box.ServeAll(o.Gateway)
	s := o.Start()
	cable := o.Routers[1]
	o.awaitRouter(t, cable.MAC)
	s.Stop()
	o.Must(0, "flush")
	cable.Link.Down()
	o.Gateway.Run("ip", "neigh", "flush", "dev", "eth1")
	o.start(t)
	o.awaitRouter(t, cable.MAC)
}
