package daemon

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Sizes of headers, and offsets in them.
const (
	ethernetHeader = 14
	ipv4Header     = 20
	ipv6Header     = 40
	portsSize      = 4
	tcpHeader      = 20
	tcpFlagsAt     = 13
	echoIDAt       = 4
	echoRequest4   = 8
	echoRequest6   = 128
	tcpSYN         = 0x02
	tcpACK         = 0x10
	groupBit       = 0x01 // of the first byte of a hardware address
)

// sentPacket is what a frame from an unknown router has.
type sentPacket struct {
	candidateFlow
	mac string
}

// parseFrame returns the packet of a frame of Ethernet. ok is false if the packet cannot begin a connection, or does not say of
// which one it is: fragments, extension headers, ICMP other than an echo request.
func parseFrame(frame []byte) (p sentPacket, ok bool) {
	if len(frame) < ethernetHeader+ipv4Header {
		return p, false
	}
	sender := net.HardwareAddr(frame[6:12])
	if sender[0]&groupBit != 0 || bytes.Equal(sender, make([]byte, len(sender))) {
		return p, false // a reply to it would go to many hosts, or to none
	}
	p.mac = sender.String()
	packet := frame[ethernetHeader:]
	var from, to netip.Addr
	var size int // of what is behind the header of IP
	switch {
	case packet[0]>>4 == 4:
		header := int(packet[0]&0xf) * 4
		if header < ipv4Header || len(packet) < header || binary.BigEndian.Uint16(packet[6:])&0x1fff != 0 {
			return p, false
		}
		from, to = netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))
		size = int(binary.BigEndian.Uint16(packet[2:])) - header
		p.Proto, packet = packet[9], packet[header:]
	case packet[0]>>4 == 6 && len(packet) >= ipv6Header:
		from, to = netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40]))
		size = int(binary.BigEndian.Uint16(packet[4:]))
		p.Proto, packet = packet[6], packet[ipv6Header:]
	default:
		return p, false
	}
	p.From, p.To = netip.AddrPortFrom(from, 0), netip.AddrPortFrom(to, 0)
	ok = p.readPorts(packet)
	if p.Proto == unix.IPPROTO_TCP && size >= tcpHeader && size <= len(packet) && packet[tcpFlagsAt]&(tcpSYN|tcpACK) == tcpSYN {
		p.to, p.from, p.syn = net.HardwareAddr(frame[:6]), net.HardwareAddr(frame[6:12]), packet[:size]
	}
	return p, ok
}

// readPorts reads the header behind that of IP, and reports whether it says of which connection the packet is.
func (p *sentPacket) readPorts(header []byte) bool {
	ports := func(from, to uint16) bool {
		p.From, p.To = netip.AddrPortFrom(p.From.Addr(), from), netip.AddrPortFrom(p.To.Addr(), to)
		return true
	}
	switch p.Proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP:
		if len(header) < portsSize {
			return false
		}
		return ports(binary.BigEndian.Uint16(header), binary.BigEndian.Uint16(header[2:]))
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		if len(header) < echoIDAt+2 || header[0] != echoRequest4 && header[0] != echoRequest6 {
			return false
		}
		return ports(binary.BigEndian.Uint16(header[echoIDAt:]), 0)
	case unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_FRAGMENT, unix.IPPROTO_DSTOPTS:
		return false
	}
	return true
}
