package firsthop

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

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
)

// ndpProber asks gateways by neighbour discovery.
type ndpProber struct {
	frames   *frameSocket // sends the solicitations
	sender   *frameSender
	conn     *net.IPConn // receives the advertisements
	hardware *hardwareCache
	sources  linkSources
	pending  requests
}

// openNDP opens the sockets that send solicitations, and receive the advertisements on all interfaces.
func openNDP() (*ndpProber, error) {
	frames, err := openFrameSocket(0, nil)
	if err != nil {
		return nil, err
	}
	n := &ndpProber{frames: frames, sender: &frameSender{shared: frames}}
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
	return errors.Join(n.sender.Close(), n.frames.Close(), n.conn.Close())
}

func (n *ndpProber) refresh() { n.hardware.refresh() }

func (n *ndpProber) requests() *requests { return &n.pending }

func (n *ndpProber) request(p *health.Path) (q *request, send func() error, err error) {
	hardware, err := n.hardware.get(p.Link)
	if err != nil {
		return nil, nil, err
	}
	source, err := n.sources.get(*p)
	if err != nil {
		return nil, nil, err
	}
	gateway := GatewayAddr(*p)
	group := solicitedNodeGroup(gateway.Addr)
	return &request{gateway: gateway, lost: func() { n.sources.doubt(p.Index) }}, func() error {
		var to []byte
		if hardware != nil {
			to = groupHardwareAddr(group)
		}
		return n.sender.send(p.Index, unix.ETH_P_IPV6, to, packetTo(group, source, neighbourSolicitation(gateway.Addr, hardware)))
	}, nil
}

// receive passes on the advertisements until the socket is closed.
func (n *ndpProber) receive(raw syscall.RawConn) {
	buffer, control := make([]byte, 2048), make([]byte, 128)
	_ = raw.Read(func(fd uintptr) bool { // it returns when the socket is closed
		for {
			size, fields, err := receiveMessage(fd, buffer, control)
			switch {
			case err == unix.EAGAIN:
				return false
			case err != nil:
				continue
			}
			index, hops := controlFields(fields)
			if target, ok := advertisedAddr(buffer[:size]); ok && hops == hopLimit {
				n.pending.receive(egress.LinkAddr{Link: index, Addr: target}, buffer[:size], targetAddr(buffer[:size]))
			}
		}
	})
}

// receiveMessage receives a packet without its source: unix.Recvmsg makes another call to decode that.
func receiveMessage(fd uintptr, buffer, control []byte) (size int, fields []byte, err error) {
	part := unix.Iovec{Base: &buffer[0]}
	part.SetLen(len(buffer))
	message := unix.Msghdr{Iov: &part, Iovlen: 1, Control: &control[0]}
	message.SetControllen(len(control))
	n, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&message)), 0)
	if errno != 0 {
		return 0, nil, errno
	}
	return int(n), control[:message.Controllen], nil
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

// packetTo returns an IPv6 packet with an ICMPv6 message, whose checksum it sets.
func packetTo(to, from netip.Addr, message []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(message)))
	b = append(append(b, unix.IPPROTO_ICMPV6, hopLimit), from.AsSlice()...)
	b = append(append(b, to.AsSlice()...), message...)
	sum := uint32(len(message)) + unix.IPPROTO_ICMPV6
	for summed := b[8:]; len(summed) > 0; summed = summed[2:] { // the addresses and the message, whose length is even
		sum += uint32(binary.BigEndian.Uint16(summed))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[40+2:], ^uint16(sum))
	return b
}

// groupHardwareAddr returns the Ethernet address of a multicast group (RFC 2464, 7).
func groupHardwareAddr(group netip.Addr) []byte {
	return append([]byte{0x33, 0x33}, group.AsSlice()[12:]...)
}

// advertisedAddr returns the address that a neighbour advertisement is about; ok is false for other messages.
func advertisedAddr(b []byte) (target netip.Addr, ok bool) {
	if len(b) < headerLen || b[0] != typeAdvertisement {
		return target, false
	}
	return netip.AddrFromSlice(b[8:headerLen])
}

// neighbourSolicitation returns a solicitation for the hardware address of the target, without its checksum.
func neighbourSolicitation(target netip.Addr, hardware []byte) []byte {
	b := append([]byte{typeSolicitation, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	if len(hardware) == hardwareAddrLen {
		b = append(append(b, optionSourceAddr, 1), hardware...)
	}
	return b
}

// targetAddr returns the hardware address in an advertisement, or "" when it has none.
func targetAddr(b []byte) string {
	const unit = 8
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
