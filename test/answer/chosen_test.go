package answer

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// message is a datagram that a server has received.
type message struct {
	from net.Addr
	to   netip.Addr
}

// choosingServer is a server on the wildcard address that sees where a datagram was sent, and chooses the source of its own
// (IP_PKTINFO).
type choosingServer struct {
	receive func() (message, error)
	reply   func(message) error
}

// chooses returns a server on the host, of the family of the address.
func chooses(t *testing.T, h *world.Host, family netip.Addr) choosingServer {
	t.Helper()
	socket := serve(t, h, family)
	if err := socket.SetReadDeadline(time.Now().Add(box.EventualTimeout)); err != nil {
		t.Fatal(err)
	}
	buffer, answer := make([]byte, 64), []byte("answer")
	if family.Is4() {
		c := ipv4.NewPacketConn(socket)
		if err := c.SetControlMessage(ipv4.FlagDst, true); err != nil {
			t.Fatal(err)
		}
		return choosingServer{func() (message, error) {
			_, control, from, err := c.ReadFrom(buffer)
			if err != nil {
				return message{}, err
			}
			to, _ := netip.AddrFromSlice(control.Dst.To4())
			return message{from, to}, nil
		}, func(m message) error {
			_, err := c.WriteTo(answer, &ipv4.ControlMessage{Src: m.to.AsSlice()}, m.from)
			return err
		}}
	}
	c := ipv6.NewPacketConn(socket)
	if err := c.SetControlMessage(ipv6.FlagDst, true); err != nil {
		t.Fatal(err)
	}
	return choosingServer{func() (message, error) {
		_, control, from, err := c.ReadFrom(buffer)
		if err != nil {
			return message{}, err
		}
		to, _ := netip.AddrFromSlice(control.Dst)
		return message{from, to}, nil
	}, func(m message) error {
		_, err := c.WriteTo(answer, &ipv6.ControlMessage{Src: m.to.AsSlice()}, m.from)
		return err
	}}
}

// dialShared connects a socket of the client from a port that other sockets of the client may have too.
func dialShared(t *testing.T, b *box.Box, port uint16, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(b.ClientAddr(to.Addr()), port)), Control: func(_, _ string, c syscall.RawConn) (err error) {
		if refused := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }); refused != nil {
			return refused
		}
		return err
	}}
	var socket net.Conn
	var err error
	b.Client.Do(func() { socket, err = dialer.DialContext(t.Context(), "udp", to.String()) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket.(*net.UDPConn)
}
