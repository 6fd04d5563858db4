//go:build modules

package reply

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// The flow table is used, and neither it nor any change while it is used makes a packet stray or a connection end. A kernel with
// flow tables is needed: make test-modules boots Debian's.
func TestModulesAcceleratedConnections(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend, "accelerate = true")
		services["with a host behind DNAT"](b)
		b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
		second := b.Uplinks[1]
		b.Delegate(second, netip.PrefixFrom(b.LAN4, 24).Masked())
		b.Delegate(second, netip.PrefixFrom(b.LAN6, 64).Masked())
		a := accelerate(b)
		a.connect(t, second.Addr4, second.Addr6, b.LAN4, b.LAN6)
		a.changes(t, second, backend == box.Nftables)
		a.serviceChanges(t)
		a.wantAlive(t)
	})
}

// wantUndisturbed wants every stream to go on, and no stray packet so far.
func (a accelerated) wantUndisturbed(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), box.EventualTimeout)
	defer stop()
	for to, stream := range a.streams {
		if err := stream.Await(ctx, 1<<18); err != nil {
			t.Errorf("stream to %s: %v", to, err)
		}
	}
	a.Settle()
	for i, r := range a.strays {
		if packets := r.Packets(); len(packets) != 0 {
			t.Errorf("%d packets strayed by eth%d; the first: %s", len(packets), i, packets[0])
		}
	}
}

// exchange asks and hears once by every UDP connection.
func (a accelerated) exchange(t *testing.T) {
	t.Helper()
	for _, s := range a.sockets {
		if err := box.Exchange(s); err != nil {
			t.Errorf("UDP from %s to %s: %v", s.LocalAddr(), s.RemoteAddr(), err)
		}
	}
}

// wantAccelerated waits until the connections of both protocols and families are in the flow table, and wants that their packets
// no longer traverse FORWARD, nor stray.
func (a accelerated) wantAccelerated(t *testing.T) {
	t.Helper()
	var found map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("in the flow table are %v; connections: %+v", found, a.tracked())
		}
	}()
	box.Eventually(t, box.EventualTimeout, "connections of each protocol and family are in the flow table", func() bool {
		a.exchange(t)
		found = a.offloaded(t)
		n := len(a.streams) / 2 // of each family
		return found["tcp 4"] >= n && found["tcp 6"] >= n && found["udp 4"] >= n && found["udp 6"] >= n
	})
	for left := 5; ; left-- { // the service may make the flow table anew once more after what came before
		before := a.forwarded(t)
		a.wantUndisturbed(t)
		for range 20 {
			a.exchange(t)
		}
		// A stream carries a quarter of a mebibyte or more meanwhile; what is lost is sent again, and may find a connection that is new here.
		after := a.forwarded(t)
		switch tcp, udp := after[0]-before[0], after[1]-before[1]; {
		case tcp <= 100 && udp <= 4:
			return
		case left == 0:
			t.Errorf("%d packets of TCP and %d of UDP were forwarded by the rules", tcp, udp)
			return
		}
	}
}

// tracked returns the connections that are tracked, as text.
func (a accelerated) tracked() (all []string) {
	a.Gateway.Do(func() {
		_ = rtnl.EachMarked(rtnl.MarkFilter{}, func(c rtnl.TrackedConnection) {
			all = append(all, fmt.Sprintf("%+v mark %#x offloaded %t", c.Original, c.Mark, c.Offloaded))
		})
	})
	return all
}

// offloaded counts the connections in the flow table, by protocol and family.
func (a accelerated) offloaded(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	a.Gateway.Do(func() {
		for name, family := range map[string]uplinks.Family{"4": uplinks.IPv4, "6": uplinks.IPv6} {
			err := rtnl.EachMarked(rtnl.MarkFilter{Family: family}, func(c rtnl.TrackedConnection) {
				if c.Offloaded && c.Mark&uint32(marks.DefaultMask) == 0 {
					t.Errorf("a connection without a mark is in the flow table: %+v", c.Original)
				}
				if c.Offloaded {
					found[map[uint8]string{6: "tcp ", 17: "udp "}[c.Original.Proto]+name]++
				}
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	return found
}

var countedPackets = regexp.MustCompile(`counter packets (\d+)`)

// forwarded returns how many packets of TCP and of UDP traversed FORWARD.
func (a accelerated) forwarded(t *testing.T) (n [2]int) {
	t.Helper()
	for i, m := range countedPackets.FindAllStringSubmatch(a.Gateway.Run("nft", "list", "chain", "inet", "see", "f"), 2) {
		n[i], _ = strconv.Atoi(m[1])
	}
	return n
}

// changes makes changes by apply while connections are accelerated: every one by the backend that has no command to wait for, those
// of each kind by the other ones, as the flow table is the same beside each and an emulated machine takes seconds for a change.
func (a accelerated) changes(t *testing.T, u *world.Uplink, every bool) {
	t.Helper()
	apply := func() {
		t.Helper()
		a.Apply()
		a.wantAccelerated(t)
	}
	text := a.changesGateway(t, u)
	if !every {
		a.Write(text)
		damages["a link in another group"](a.Box)
		apply()
		a.Gateway.Run("nft", "delete table inet replypath-flow")
		apply()
		return
	}
	// Another id, and back: another mark, other rules, another table.
	a.Write(strings.ReplaceAll(text, "id = 2\n", "id = 7\n"))
	apply()
	a.Write(text)
	apply()
	// Routes and chains that another program deletes.
	for _, what := range []string{"a route gone", "a link in another group"} {
		damages[what](a.Box)
		apply()
	}
	// The flow table itself.
	for _, harm := range []string{"delete table inet replypath-flow", "add rule inet replypath-flow forward flow add @flows"} {
		a.Gateway.Run("nft", harm)
		apply()
	}
	// The link down and up: the kernel takes its routes and IPv6 addresses.
	u.Link.Down()
	u.Link.Up()
	restore(a.Box, u)
	apply()
	a.wantUndisturbed(t)
}

// changesGateway applies another gateway of the uplink, whose router has both addresses. It returns the configuration of before.
func (a accelerated) changesGateway(t *testing.T, u *world.Uplink) string {
	t.Helper()
	text, err := os.ReadFile(a.Config)
	if err != nil {
		t.Fatal(err)
	}
	u.Side.Addr("192.0.2.7/24")
	a.Write(strings.ReplaceAll(string(text), u.Router4.String(), "192.0.2.7"))
	a.Apply()
	a.wantAccelerated(t)
	return string(text)
}

// moves makes requests of accelerated connections come in by the first uplink: replies follow, as the service makes the flow
// table anew.
func (a accelerated) moves(t *testing.T) {
	t.Helper()
	first := a.Uplinks[0]
	for _, to := range []netip.Addr{a.LAN4, a.LAN6} {
		bits, via := 24, first.Router4
		if to.Is6() {
			bits, via = 64, first.RouterLL
		}
		prefix := netip.PrefixFrom(to, bits).Masked()
		a.Carry(first, prefix)
		out := first.Wire.Record(func(p world.Packet) bool { return p.Dir == world.In && p.Proto == world.UDP && p.From(to) })
		a.Client.Run("ip", "route", "replace", prefix.String(), "via", via.String(), "dev", first.ClientLink.Name, "src", a.ClientAddr(to).String(), "onlink")
		box.Eventually(t, box.EventualTimeout, "replies from "+to.String()+" follow the requests", func() bool {
			a.exchange(t)
			return len(out.Packets()) > 0
		})
	}
	a.wantAccelerated(t)
}

// serviceChanges reloads, kills and starts the service while connections are accelerated, and then has them go without.
func (a accelerated) serviceChanges(t *testing.T) {
	t.Helper()
	s := a.Start()
	text, err := os.ReadFile(a.Config)
	if err != nil {
		t.Fatal(err)
	}
	a.Write(strings.ReplaceAll(string(text), "id = 1\n", "id = 9\n"))
	a.Must(0, "reload")
	a.wantAccelerated(t)
	s.Kill()
	a.wantAccelerated(t)
	s = a.Start()
	a.moves(t)
	a.Write(strings.ReplaceAll(string(text), "accelerate = true\n", ""))
	a.Must(0, "reload")
	a.AwaitInSync()
	a.wantUndisturbed(t)
	s.Stop()
	box.Eventually(t, box.EventualTimeout, "no connection is in a flow table", func() bool { return len(a.offloaded(t)) == 0 })
	if tables := a.Gateway.Run("nft", "list", "tables"); strings.Contains(tables, marks.FlowTableName) {
		t.Errorf("left behind: %s", tables)
	}
	a.wantUndisturbed(t)
	a.exchange(t)
}
