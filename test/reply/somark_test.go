package reply

import (
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// What the host itself begins by an uplink that is not main's choice, with that uplink's mark on the socket (a health
// probe, an application with SO_MARK), is answered, also when its own address is not one of the uplink's links, so that
// no rule for addresses speaks for it: a strict source check lets the answer in because it wears its connection's mark.
func TestMarkedOutgoingConnectionsAreAnswered(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		box.ServeAll(b.Client)
		b.Iptables(6, "-t", "mangle", "-A", "PREROUTING", "-i", "eth+", "-m", "rpfilter", "--validmark", "--invert", "-j", "DROP")
		for _, u := range b.Uplinks {
			for own, by := range map[netip.Addr]netip.Addr{u.Second4: u.Addr4, u.Second6: u.Addr6} {
				b.Gateway.Link("lo").Addr(netip.PrefixFrom(own, own.BitLen()).String())
				u.ISP.AddRoute(world.Route{To: netip.PrefixFrom(own, own.BitLen()), Via: by, Link: u.Side})
			}
		}
		b.Apply()
		for _, u := range b.Uplinks {
			for _, own := range []netip.Addr{u.Addr4, u.Addr6, u.Second4, u.Second6} {
				for _, network := range []string{"tcp", "udp"} {
					if err := exchangeMarked(b, network, own, 0x100*(u.Index+1)); err != nil {
						t.Errorf("%s from %s with the mark of %s: %v", network, own, u.Link.Name, err)
					}
				}
			}
		}
	})
}

// exchangeMarked sends a request to the client's service from an address of the gateway, by a socket with a mark.
func exchangeMarked(b *box.Box, network string, from netip.Addr, mark int) error {
	control := func(_, _ string, c syscall.RawConn) (err error) {
		if closed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark) }); closed != nil {
			return closed
		}
		return err
	}
	dialer := net.Dialer{Timeout: box.EventualTimeout, Control: control, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	if network == "udp" {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	var conn net.Conn
	var err error
	to := netip.AddrPortFrom(b.ClientAddr(from), box.ServedPort).String()
	b.Gateway.Do(func() { conn, err = dialer.DialContext(b.T.Context(), network, to) })
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(box.EventualTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(strings.Repeat("?", 64))); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
