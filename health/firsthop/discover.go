package firsthop

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"time"

	"replypath/health"
	"replypath/health/socket"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// What neighbour discovery (RFC 4861) calls its things.
const (
	solicitation  = 135
	advertisement = 136
	sourceLink    = 1   // the option that tells the asker's hardware address
	hops          = 255 // what was forwarded has less, and is not of this link
)

func discover(ctx context.Context, p health.Path) (sent time.Time, took time.Duration, err error) {
	const how = "neighbour discovery"
	sent = time.Now()
	hardware, err := hardwareOf(p)
	if err != nil {
		return sent, 0, failure(ctx, p, how, err)
	}
	c, err := listen(ctx, p)
	if err != nil {
		return sent, 0, failure(ctx, p, how, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) }) // it may be closed
	defer stop()
	gateway := p.Gateway.WithZone("")
	sent = time.Now()
	out := &ipv6.ControlMessage{HopLimit: hops, IfIndex: p.Index}
	if _, err := c.WriteTo(solicit(gateway, hardware), out, &net.IPAddr{IP: group(gateway).AsSlice()}); err != nil {
		return sent, 0, failure(ctx, p, how, err)
	}
	buffer := make([]byte, 2048)
	for {
		n, in, _, err := c.ReadFrom(buffer)
		if err != nil {
			return sent, 0, failure(ctx, p, how, err)
		}
		if in != nil && in.HopLimit == hops && in.IfIndex == p.Index && advertises(buffer[:n], gateway) {
			return sent, time.Since(sent), nil
		}
	}
}

// listen hears advertisements on the path's link. The source of what it sends is the kernel's choice: the link's own
// link-local address, to which any gateway has a way back.
func listen(ctx context.Context, p health.Path) (*ipv6.PacketConn, error) {
	config := net.ListenConfig{Control: socket.Bound(p)}
	raw, err := config.ListenPacket(ctx, "ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, err
	}
	c := ipv6.NewPacketConn(raw)
	var only ipv6.ICMPFilter
	only.SetAll(true)
	only.Accept(ipv6.ICMPTypeNeighborAdvertisement)
	if err := c.SetICMPFilter(&only); err != nil {
		c.Close()
		return nil, err
	}
	if err := c.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagInterface, true); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// hardwareOf is the address of the path's link, if links of its kind have one.
func hardwareOf(p health.Path) ([]byte, error) {
	s, err := open(p, unix.ETH_P_IPV6)
	if err != nil {
		return nil, err
	}
	return s.hardware, s.file.Close()
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
