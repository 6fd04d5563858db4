package reply

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// The network of the provider's modem, which no router on the Internet knows.
const (
	modemAddr4 = "198.18.100.2/24"
	modemAddr6 = "2001:db8:100::2/64"
)

// addModemNetwork gives the second uplink the address of a second network, before those of the gateways. The kernel lists
// IPv4 addresses as they were added, and IPv6 addresses the last one first.
func addModemNetwork(b *box.Box) {
	b.Shell("ip addr flush dev eth1 scope global", "ip addr add "+modemAddr4+" dev eth1", "ip addr add 192.0.2.2/24 dev eth1",
		"ip addr add 2001:db8:b::2/64 dev eth1 nodad", "ip addr add "+modemAddr6+" dev eth1 nodad")
}

// sourceCases are hosts on which packets without a source of their own, with the mark of the second uplink, leave from the
// addresses wanted: those of the gateways' networks, or those of main's default routes.
var sourceCases = map[string]struct {
	gateway string
	prepare []string
	want    []string
}{
	"configured gateways": {gateway: `["192.0.2.1", "2001:db8:b::1"]`, want: []string{"192.0.2.2", "2001:db8:b::2"}},
	"configured gateways, promoted secondary": {gateway: `["192.0.2.1", "2001:db8:b::1"]`, want: []string{"192.0.2.3", "2001:db8:b::2"},
		prepare: []string{"sysctl -qw net.ipv4.conf.eth1.promote_secondaries=1", "ip addr add 192.0.2.3/24 dev eth1", "ip addr del 192.0.2.2/24 dev eth1"}},
	"configured gateways, deprecated addresses beside others": {gateway: `["192.0.2.1", "2001:db8:b::1"]`, want: []string{"192.0.2.3", "2001:db8:b::3"},
		prepare: []string{"ip addr change 192.0.2.2/24 dev eth1 preferred_lft 0", "ip addr add 192.0.2.3/24 dev eth1",
			"ip addr change 2001:db8:b::2/64 dev eth1 preferred_lft 0", "ip addr add 2001:db8:b::3/64 dev eth1 nodad"}},
	"a link-local gateway and deprecated addresses only": {gateway: `["192.0.2.1", "fe80::1"]`, want: []string{"192.0.2.2", "2001:db8:b::2"},
		prepare: []string{"ip -6 addr del " + modemAddr6 + " dev eth1", "ip -6 addr change 2001:db8:b::2/64 dev eth1 preferred_lft 0"}},
	"gateways of main's default routes": {gateway: box.AutoGateways, want: []string{"192.0.2.2", "2001:db8:b::2"},
		prepare: []string{"ip route add default via 192.0.2.1 dev eth1 metric 700", "ip -6 route add default via 2001:db8:b::1 dev eth1 metric 2000"}},
	"sources of main's default routes": {gateway: box.AutoGateways, want: []string{"192.0.2.3", "2001:db8:b::3"},
		prepare: []string{"ip addr add 192.0.2.3/24 dev eth1", "ip addr add 2001:db8:b::3/64 dev eth1 nodad", "ip addr add 2001:db8:b::4/64 dev eth1 nodad",
			"ip route add default via 192.0.2.1 dev eth1 src 192.0.2.3 metric 700", "ip -6 route add default via 2001:db8:b::1 dev eth1 src 2001:db8:b::3 metric 2000"}},
	"sources of main's default routes by the configured gateways": {gateway: `["192.0.2.1", "2001:db8:b::1"]`, want: []string{"192.0.2.3", "2001:db8:b::3"},
		prepare: []string{"ip addr add 192.0.2.3/24 dev eth1", "ip addr add 2001:db8:b::3/64 dev eth1 nodad", "ip addr add 2001:db8:b::4/64 dev eth1 nodad",
			"ip route add default via 192.0.2.1 dev eth1 src 192.0.2.3 metric 700", "ip -6 route add default via 2001:db8:b::1 dev eth1 src 2001:db8:b::3 metric 2000"}},
}

func TestSourceOfPacketsWithAMark(t *testing.T) {
	t.Parallel()
	for name, c := range sourceCases {
		t.Run(name, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
			b.GatewayOf(1, c.gateway)
			addModemNetwork(b)
			b.Shell(c.prepare...)
			b.Apply()
			for _, text := range c.want {
				want := netip.MustParseAddr(text)
				wire := b.Uplinks[1].Wire.Record()
				sendMarked(b, b.ClientAddr(want), 0x200)
				p, err := wire.Wait(t.Context(), func(p world.Packet) bool { return p.Proto == world.UDP && p.To(b.ClientAddr(want)) })
				if err != nil || p.Src != want {
					t.Errorf("a datagram with the mark of eth1 leaves as %s, %v; want it from %s\n%s", p, err, want,
						b.Gateway.Run("ip", "route", "show", "table", "8202"))
				}
			}
		})
	}
}

// sendMarked sends a datagram from the gateway by an unbound socket with a mark.
func sendMarked(b *box.Box, to netip.Addr, mark int) {
	b.T.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if closed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark) }); closed != nil {
			return closed
		}
		return err
	}}
	var conn net.Conn
	var err error
	b.Gateway.Do(func() {
		conn, err = dialer.DialContext(b.T.Context(), "udp", netip.AddrPortFrom(to, box.ServedPort).String())
	})
	if err != nil {
		b.T.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("?")); err != nil {
		b.T.Fatal(err)
	}
}

// A probe, and an answer that the kernel itself makes up (a hop in a traceroute, "unreachable"), leave from an address that
// the Internet knows: without one the uplink is down for ever, and the error is lost.
func TestProbesLeaveFromTheAddressOfTheGatewaysNetwork(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	addModemNetwork(b)
	gateways := []string{`["198.51.100.1", "2001:db8:a::1"]`, `["192.0.2.1", "2001:db8:b::1"]`}
	var text string
	for i, u := range b.Uplinks {
		text += fmt.Sprintf("[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = %s\nprobes.far4.target = \"icmp://%s\"\nprobes.far6.target = \"icmp://[%s]\"\n",
			i, i+1, u.Link.Name, gateways[i], b.ClientAddr(u.Addr4), b.ClientAddr(u.Addr6))
	}
	b.Write(text)
	b.Start()
	b.AwaitUp()
}
