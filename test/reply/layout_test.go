package reply

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// allUplinks are as many as there can be.
const allUplinks = 255

// layoutHost is a host with a link for every id, whose routes are read by RTM_GETROUTE.
type layoutHost struct {
	*box.Box
	chance *rand.Rand
	handle *netlink.Handle
	links  map[int]string // by their index
	ids    []int          // of the uplinks that are configured, sorted
	empty  map[int]bool   // their tables that the test emptied
}

// packetQuery is a packet without its destination: in is the id of the uplink that it came in by, 0 the host's own, inside lan0.
type packetQuery struct {
	mark   uint32
	in     int
	source int // an id: from that uplink's address; 0: from none yet, or from the Internet
	family int
}

const fromLAN = -1

// The kernel's route is read for packets with every mark, of uplinks and of none, with foreign bits, from every kind of address
// and link, while tables are empty, with 1 to 255 uplinks. It must be the route that one rule per uplink would give.
func TestRuleLayoutRoutesLikeOneRulePerUplink(t *testing.T) {
	t.Parallel()
	const seed = 6
	t.Logf("seed %d", seed)
	p := newLayoutHost(t, rand.New(rand.NewPCG(seed, seed)))
	for _, n := range []int{1, 2, 15, 16, 31, 100, 255, 16, 3} {
		p.configureRandom(n)
		for mark := range 256 {
			p.check(uint32(mark)<<8 | p.chance.Uint32()&^0xff00)
		}
	}
}

func newLayoutHost(t *testing.T, chance *rand.Rand) *layoutHost {
	t.Helper()
	w := world.New(t)
	gateway := w.Host("gw")
	p := &layoutHost{Box: box.New(t, &world.Internet{World: w, Gateway: gateway}), chance: chance, links: map[int]string{}}
	gateway.SetSysctl("net.ipv4.ip_forward", "1")
	gateway.SetSysctl("net.ipv6.conf.all.forwarding", "1")
	others := w.Host("others")
	lan, _ := w.Join(gateway, "lan0", others, "lan0")
	lan.Peer.Addr("203.0.113.2/25", "2001:db8:f::2/64")
	lan.Addr("203.0.113.1/25", "2001:db8:f::1/64")
	gateway.Run("ip", "route", "add", "default", "via", "203.0.113.2")
	gateway.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:f::2")
	for id := 1; id <= allUplinks; id++ {
		l, _ := w.Join(gateway, link(id), others, link(id))
		l.Addr(uplinkAddr(id, 4).String()+"/24", uplinkAddr(id, 6).String()+"/64")
		// IPv6 passes over a gateway that does not answer.
		l.Peer.Addr(uplinkAddr(id, 4).Prev().String()+"/24", uplinkAddr(id, 6).Prev().String()+"/64")
	}
	var err error
	gateway.Do(func() { p.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.handle.Close)
	links, err := p.handle.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		p.links[l.Attrs().Index] = l.Attrs().Name
	}
	return p
}

// configureRandom configures n uplinks with any ids, and empties some of their tables.
func (p *layoutHost) configureRandom(n int) {
	p.T.Helper()
	p.ids = p.chance.Perm(allUplinks)[:n]
	p.empty = map[int]bool{}
	var config strings.Builder
	config.WriteString("mask = 0xff00\n")
	for i := range p.ids {
		p.ids[i]++
	}
	slices.Sort(p.ids)
	for _, id := range p.ids {
		fmt.Fprintf(&config, "[uplinks.up%d]\nid = %d\ninterface = %q\ngateway = [\"198.18.%d.1\", \"2001:db8:1%02x::1\"]\n", id, id, link(id), id, id)
	}
	p.Write(config.String())
	p.Apply()
	for _, id := range p.ids {
		if n > 1 && p.chance.IntN(6) == 0 {
			p.empty[id] = true
			p.Gateway.Run("ip", "route", "flush", "table", fmt.Sprint(8200+id))
			p.Gateway.Run("ip", "-6", "route", "flush", "table", fmt.Sprint(8200+id))
			// ip takes this one for the kernel's own.
			p.Gateway.Run("ip", "-6", "route", "del", "unreachable", "default", "metric", "4294967295", "table", fmt.Sprint(8200+id))
		}
	}
}

// check compares the kernel's routes of packets with a mark.
func (p *layoutHost) check(mark uint32) {
	p.T.Helper()
	any := p.ids[p.chance.IntN(len(p.ids))]
	other := 1 + p.chance.IntN(allUplinks)
	own := int(mark >> 8 & 0xff)
	for _, family := range []int{4, 6} {
		queries := []packetQuery{{mark, 0, 0, family}, {mark, 0, any, family}, {mark, 0, other, family}, {mark, fromLAN, 0, family},
			{mark, any, 0, family}, {mark, other, 0, family}}
		if own != 0 {
			queries = append(queries, packetQuery{mark, own, 0, family}, packetQuery{mark, 0, own, family})
		}
		for _, q := range queries {
			if got, want := p.kernelRoute(q), p.wantedRoute(q); got != want {
				p.T.Fatalf("%d uplinks, tables %v empty: %+v goes by %s, want %s; ids %v", len(p.ids), p.empty, q, got, want, p.ids)
			}
		}
	}
}

// wantedRoute returns the meaning: a mark's own table, but not for what just came in by its link; then, for the host's own
// packets, the table of the source; then main.
func (p *layoutHost) wantedRoute(q packetQuery) string {
	requested := []int{int(q.mark >> 8 & 0xff)}
	if requested[0] == q.in {
		requested[0] = 0
	}
	if q.in == 0 {
		requested = append(requested, q.source)
	}
	for _, id := range requested {
		if slices.Contains(p.ids, id) && !p.empty[id] {
			return link(id)
		}
	}
	return "lan0"
}

// kernelRoute returns the link of the kernel's route to the Internet.
func (p *layoutHost) kernelRoute(q packetQuery) string {
	p.T.Helper()
	to, far := net.ParseIP("203.0.113.200"), net.ParseIP("203.0.113.199")
	if q.family == 6 {
		to, far = net.ParseIP("2001:db8:ffff::9"), net.ParseIP("2001:db8:ffff::8")
	}
	o := &netlink.RouteGetOptions{Mark: q.mark}
	switch {
	case q.source != 0:
		o.SrcAddr = uplinkAddr(q.source, q.family).AsSlice()
	case q.in != 0:
		o.SrcAddr = far
	}
	switch {
	case q.in == fromLAN:
		o.Iif = "lan0"
	case q.in != 0:
		o.Iif = link(q.in)
	}
	routes, err := p.handle.RouteGetWithOptions(to, o)
	if err != nil || len(routes) != 1 {
		p.T.Fatalf("%+v: %v, %v", q, routes, err)
	}
	return p.links[routes[0].LinkIndex]
}

func link(id int) string { return fmt.Sprintf("eth%d", id) }

// uplinkAddr returns the gateway's address on the uplink with that id.
func uplinkAddr(id, family int) netip.Addr {
	if family == 4 {
		return netip.AddrFrom4([4]byte{198, 18, byte(id), 2})
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:1%02x::2", id))
}
