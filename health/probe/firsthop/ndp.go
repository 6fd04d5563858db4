package firsthop

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"replypath/health"
	"replypath/uplinks/egress"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// The fields of neighbour discovery messages (RFC 4861).
const (
	typeSolicitation  = 135
	typeAdvertisement = 136
	optionSourceAddr  = 1   // source link-layer address option
	optionTargetAddr  = 2   // target link-layer address option
	hopLimit          = 255 // a message that a router forwarded has less
	headerLen         = 24  // of both messages
	optionLen         = 8   // of an option with a hardware address, and the unit of the lengths of options
)

// ndpProber asks gateways by neighbour discovery.
type ndpProber struct {
	socket   *frameSocket // sends the solicitations
	frames   *frameSender
	conn     *net.IPConn // receives the advertisements
	hardware *hardwareCache
	sources  linkSources
	pending  requests
}

// openNDP opens the sockets that send solicitations, and receive the advertisements on all interfaces.
func openNDP(timers health.Timers) (*ndpProber, error) {
	frames, err := openFrameSocket(0, nil)
	if err != nil {
		return nil, err
	}
	n := &ndpProber{socket: frames, frames: &frameSender{shared: frames}}
	n.pending.timers = timers
	n.pending.lost = func(q *request) { n.sources.invalidate(q.path.Index) }
	var raw syscall.RawConn
	if n.conn, raw, err = openAdvertisements(); err != nil {
		frames.Close()
		return nil, err
	}
	n.hardware = newHardwareCache(frames.hardwareAddr)
	go n.receive(raw)
	return n, nil
}

// openAdvertisements opens a socket that receives the neighbour advertisements to this host.
func openAdvertisements() (*net.IPConn, syscall.RawConn, error) {
	c, err := net.ListenIP("ip6:ipv6-icmp", &net.IPAddr{IP: net.IPv6unspecified})
	if err != nil {
		return nil, nil, err
	}
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeNeighborAdvertisement)
	packets := ipv6.NewPacketConn(c)
	raw, err := c.SyscallConn()
	err = errors.Join(err, packets.SetICMPFilter(&filter), packets.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagInterface, true))
	if err == nil {
		err = raw.Control(func(fd uintptr) { _ = growReceiveBuffer(int(fd)) }) // with fewer, the replies of hundreds of gateways may not fit
	}
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, raw, nil
}

// Close closes the sockets.
func (n *ndpProber) Close() error {
	n.pending.close()
	n.hardware.Close()
	n.sources.close()
	return errors.Join(n.frames.Close(), n.socket.Close(), n.conn.Close())
}

func (n *ndpProber) refresh() { n.hardware.refresh() }

func (n *ndpProber) requests() *requests { return &n.pending }

func (n *ndpProber) sender() (s *frameSender, etherType uint16) { return n.frames, unix.ETH_P_IPV6 }

func (n *ndpProber) prepare(q *request, packet []byte) (to, complete []byte, err error) {
	if q.hardware, err = n.hardware.get(q.path.Link); err != nil {
		return nil, nil, err
	}
	source, err := n.sources.get(q.path)
	if err != nil {
		return nil, nil, err
	}
	group := solicitedNodeGroup(q.gateway.Addr)
	complete = appendSolicitation(packet, group, source, q.gateway.Addr, q.hardware)
	if q.hardware != nil {
		complete = appendGroupHardwareAddr(complete, group)
		to, complete = complete[len(complete)-hardwareAddrLen:], complete[:len(complete)-hardwareAddrLen]
	}
	return to, complete, nil
}

// receive ends the requests that advertisements reply to, until the socket is closed.
func (n *ndpProber) receive(raw syscall.RawConn) {
	var ended endings
	readAll(raw, func(packets []receivedPacket) {
		now := time.Now()
		for _, p := range packets {
			index, hops := controlFields(p.control)
			if target, ok := advertisedAddr(p.data); ok && hops == hopLimit {
				n.pending.receive(egress.LinkAddr{Link: index, Addr: target}, p.data, targetAddr(p.data), now, &ended)
			}
		}
		ended.flush()
	})
}

// controlFields returns the index of the interface and the hop limit from the control messages of a packet (ipv6(7)).
func controlFields(control []byte) (index, hops int) {
	for len(control) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return 0, 0
		}
		switch {
		case header.Level != unix.IPPROTO_IPV6:
		case header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			index = int(binary.NativeEndian.Uint32(data[16:]))
		case header.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			hops = int(binary.NativeEndian.Uint32(data))
		}
		control = rest
	}
	return index, hops
}

// appendSolicitation appends an IPv6 packet to the group that asks for the hardware address of the target.
func appendSolicitation(packet []byte, group, source, target netip.Addr, hardware []byte) []byte {
	from, to, asked := source.As16(), group.As16(), target.As16()
	length := headerLen
	if len(hardware) == hardwareAddrLen {
		length += optionLen
	}
	at := len(packet)
	b := binary.BigEndian.AppendUint16(append(packet, 0x60, 0, 0, 0), uint16(length))
	b = append(append(append(b, unix.IPPROTO_ICMPV6, hopLimit), from[:]...), to[:]...)
	b = append(append(b, typeSolicitation, 0, 0, 0, 0, 0, 0, 0), asked[:]...)
	if len(hardware) == hardwareAddrLen {
		b = append(append(b, optionSourceAddr, 1), hardware...)
	}
	setChecksum(b[at:])
	return b
}

// setChecksum sets the checksum of an IPv6 packet with an ICMPv6 message, whose length is even.
func setChecksum(packet []byte) {
	const message = 40
	sum := uint32(len(packet)-message) + unix.IPPROTO_ICMPV6
	for summed := packet[8:]; len(summed) > 0; summed = summed[2:] { // the addresses and the message
		sum += uint32(binary.BigEndian.Uint16(summed))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(packet[message+2:], ^uint16(sum))
}

// appendGroupHardwareAddr appends the Ethernet address of a multicast group (RFC 2464, 7).
func appendGroupHardwareAddr(b []byte, group netip.Addr) []byte {
	a := group.As16()
	return append(append(b, 0x33, 0x33), a[12:]...)
}

// advertisedAddr returns the address that a neighbour advertisement is about; ok is false for other messages.
func advertisedAddr(b []byte) (target netip.Addr, ok bool) {
	if len(b) < headerLen || b[0] != typeAdvertisement {
		return target, false
	}
	return netip.AddrFromSlice(b[8:headerLen])
}

// targetAddr returns the hardware address in an advertisement, or nil when it has none.
func targetAddr(b []byte) []byte {
	for options := b[headerLen:]; len(options) >= optionLen && options[1] > 0; options = options[min(len(options), optionLen*int(options[1])):] {
		if options[0] == optionTargetAddr && options[1] == 1 {
			return options[2:optionLen]
		}
	}
	return nil
}

// solicitedNodeGroup returns the target's solicited-node multicast address (RFC 4291, 2.7.1).
func solicitedNodeGroup(target netip.Addr) netip.Addr {
	g, a := [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff}, target.As16()
	copy(g[13:], a[13:])
	return netip.AddrFrom16(g)
}
