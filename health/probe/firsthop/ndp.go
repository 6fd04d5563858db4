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
	"replypath/health/probe/socket"

	"golang.org/x/net/ipv6"
)

// The fields of neighbour discovery messages (RFC 4861).
const (
	typeSolicitation  = 135
	typeAdvertisement = 136
	optionSourceAddr  = 1   // source link-layer address option
	optionTargetAddr  = 2   // target link-layer address option
	hopLimit          = 255 // a message that a router forwarded has less
)

// ndpSocket sends neighbour solicitations on one interface and receives the advertisements.
type ndpSocket struct {
	conn *ipv6.PacketConn
	raw  syscall.RawConn
	link *packetSocket // receives nothing: its name is the interface's hardware address
}

func (s *ndpSocket) probe(p health.Path) (r reply, err error) {
	r.sent = time.Now()
	hardware, err := s.link.hardwareAddr()
	if err != nil {
		return r, err
	}
	gateway := p.Gateway.WithZone("")
	r.sent = time.Now()
	out := &ipv6.ControlMessage{HopLimit: hopLimit, IfIndex: p.Index}
	if _, err := s.conn.WriteTo(neighbourSolicitation(gateway, hardware), out, &net.IPAddr{IP: solicitedNodeGroup(gateway).AsSlice()}); err != nil {
		return r, err
	}
	buffer := make([]byte, 2048)
	for {
		n, in, _, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return r, err
		}
		if in != nil && in.HopLimit == hopLimit && in.IfIndex == p.Index && isAdvertisement(buffer[:n], gateway) {
			r.took, r.mac = time.Since(r.sent), targetAddr(buffer[:n])
			return r, nil
		}
	}
}

// openNDPSocket opens a socket that receives neighbour advertisements on the path's interface. The kernel chooses the source
// of the solicitations: the interface's link-local address, which every gateway can reply to.
func openNDPSocket(p health.Path) (*ndpSocket, error) {
	config := net.ListenConfig{Control: socket.BindControl(p)}
	conn, err := config.ListenPacket(context.Background(), "ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, err
	}
	s := &ndpSocket{conn: ipv6.NewPacketConn(conn)}
	if s.raw, err = conn.(*net.IPConn).SyscallConn(); err == nil {
		s.link, err = openPacketSocket(p, 0)
	}
	if err == nil {
		var filter ipv6.ICMPFilter
		filter.SetAll(true)
		filter.Accept(ipv6.ICMPTypeNeighborAdvertisement)
		err = s.conn.SetICMPFilter(&filter)
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
func (s *ndpSocket) Close() error {
	if s.link == nil {
		return s.conn.Close()
	}
	return errors.Join(s.conn.Close(), s.link.Close())
}

// SetReadDeadline sets the time at which probe stops waiting.
func (s *ndpSocket) SetReadDeadline(then time.Time) error { return s.conn.SetReadDeadline(then) }

func (s *ndpSocket) drain() error {
	return errors.Join(s.conn.SetReadDeadline(time.Time{}), drain(s.raw))
}

// neighbourSolicitation returns a solicitation for the hardware address of the target. The kernel fills in the checksum.
func neighbourSolicitation(target netip.Addr, hardware []byte) []byte {
	b := append([]byte{typeSolicitation, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	if len(hardware) == hardwareAddrLen {
		b = append(append(b, optionSourceAddr, 1), hardware...)
	}
	return b
}

// isAdvertisement reports whether the message is a neighbour advertisement of the target.
func isAdvertisement(b []byte, target netip.Addr) bool {
	return len(b) >= 24 && b[0] == typeAdvertisement && bytes.Equal(b[8:24], target.AsSlice())
}

// targetAddr returns the hardware address in an advertisement, or "" when it has none.
func targetAddr(b []byte) string {
	const headerLen, unit = 24, 8
	for options := b[headerLen:]; len(options) >= unit && options[1] > 0; options = options[min(len(options), unit*int(options[1])):] {
		if options[0] == optionTargetAddr && options[1] == 1 {
			return string(options[2:unit])
		}
	}
	return ""
}

// solicitedNodeGroup returns the target's solicited-node multicast address (RFC 4291, 2.7.1).
func solicitedNodeGroup(target netip.Addr) netip.Addr {
	g := netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(g[13:], target.AsSlice()[13:])
	return netip.AddrFrom16(g)
}
