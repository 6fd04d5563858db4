package firsthop

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"replypath/health"
	"replypath/health/socket"

	"golang.org/x/net/ipv6"
)

// What neighbour discovery (RFC 4861) calls its things.
const (
	solicitation  = 135
	advertisement = 136
	sourceLink    = 1   // the option that tells the asker's hardware address
	hops          = 255 // what was forwarded has less, and is not of this link
)

// solicitor asks by neighbour discovery on one link.
type solicitor struct {
	conn  *ipv6.PacketConn
	raw   syscall.RawConn
	plate *packet // hears nothing: it tells the link's hardware address
}

func (s *solicitor) ask(p health.Path) (sent time.Time, took time.Duration, err error) {
	sent = time.Now()
	hardware, err := s.plate.hardware()
	if err != nil {
		return sent, 0, err
	}
	gateway := p.Gateway.WithZone("")
	sent = time.Now()
	out := &ipv6.ControlMessage{HopLimit: hops, IfIndex: p.Index}
	if _, err := s.conn.WriteTo(solicit(gateway, hardware), out, &net.IPAddr{IP: group(gateway).AsSlice()}); err != nil {
		return sent, 0, err
	}
	buffer := make([]byte, 2048)
	for {
		n, in, _, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return sent, 0, err
		}
		if in != nil && in.HopLimit == hops && in.IfIndex == p.Index && advertises(buffer[:n], gateway) {
			return sent, time.Since(sent), nil
		}
	}
}

// openSolicitor hears advertisements on the path's link. The source of what it sends is the kernel's choice: the link's
// own link-local address, to which any gateway has a way back.
func openSolicitor(p health.Path) (*solicitor, error) {
	config := net.ListenConfig{Control: socket.Bound(p)}
	heard, err := config.ListenPacket(context.Background(), "ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, err
	}
	s := &solicitor{conn: ipv6.NewPacketConn(heard)}
	if s.raw, err = heard.(*net.IPConn).SyscallConn(); err == nil {
		s.plate, err = open(p, 0)
	}
	if err == nil {
		var only ipv6.ICMPFilter
		only.SetAll(true)
		only.Accept(ipv6.ICMPTypeNeighborAdvertisement)
		err = s.conn.SetICMPFilter(&only)
	}
	if err == nil {
		err = s.conn.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagInterface, true)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the sockets.
func (s *solicitor) Close() error {
	if s.plate == nil {
		return s.conn.Close()
	}
	return errors.Join(s.conn.Close(), s.plate.Close())
}

// SetReadDeadline ends a wait for an answer then.
func (s *solicitor) SetReadDeadline(then time.Time) error { return s.conn.SetReadDeadline(then) }

func (s *solicitor) forget() error {
	return errors.Join(s.conn.SetReadDeadline(time.Time{}), drop(s.raw))
}

// solicit asks for the hardware address of the target. The kernel fills in the checksum.
func solicit(target netip.Addr, hardware []byte) []byte {
	b := append([]byte{solicitation, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	if len(hardware) == ethernet {
		b = append(append(b, sourceLink, 1), hardware...)
	}
	return b
}

// advertises tells whether this says where the target is.
func advertises(b []byte, target netip.Addr) bool {
	return len(b) >= 24 && b[0] == advertisement && bytes.Equal(b[8:24], target.AsSlice())
}

// group is where those hear solicitations that have the target's last three octets (RFC 4291, 2.7.1).
func group(target netip.Addr) netip.Addr {
	g := netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(g[13:], target.AsSlice()[13:])
	return netip.AddrFrom16(g)
}
