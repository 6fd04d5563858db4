package main

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Lengths of headers, and the shortest Ethernet frame. Frames are whole 32-bit words, as they are written as such.
const (
	etherHeader = 14
	shortest    = 60
	wordBytes   = 4
)

// senderOfFrames is the hardware address that sends all frames, a local one.
var senderOfFrames = net.HardwareAddr{0x02, 0, 0, 0, 0, 0}

// frame returns an Ethernet frame for a link with that hardware address.
func frame(to []byte, src, dst netip.Addr, proto int, payload []byte) []byte {
	b := make([]byte, etherHeader, 128)
	copy(b, to)
	copy(b[6:], senderOfFrames)
	if src.Is4() {
		binary.BigEndian.PutUint16(b[12:], unix.ETH_P_IP)
		b = append(b, header4(src, dst, proto, len(payload))...)
	} else {
		binary.BigEndian.PutUint16(b[12:], unix.ETH_P_IPV6)
		b = append(b, header6(src, dst, proto, len(payload))...)
	}
	b = append(b, payload...)
	for len(b) < shortest || len(b)%wordBytes != 0 {
		b = append(b, 0)
	}
	return b
}

func header4(src, dst netip.Addr, proto, payload int) []byte {
	b := make([]byte, 20)
	b[0], b[5], b[8], b[9] = 0x45, 0xff, 64, byte(proto)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+payload))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return b
}

func header6(src, dst netip.Addr, proto, payload int) []byte {
	b := make([]byte, 40)
	b[0], b[6], b[7] = 0x60, byte(proto), 64
	binary.BigEndian.PutUint16(b[4:], uint16(payload))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return b
}

// datagram returns a UDP datagram. IPv4's has no checksum.
func datagram(src, dst netip.AddrPort, payload ...byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	b = append(b, payload...)
	if src.Addr().Is6() {
		seal(b, 6, src.Addr(), dst.Addr(), unix.IPPROTO_UDP)
	}
	return b
}

// echo returns a ping's request.
func echo(src, dst netip.Addr) (proto int, payload []byte) {
	b := []byte{8, 0, 0, 0, 0, 1, 0, 1}
	if src.Is4() {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
		return unix.IPPROTO_ICMP, b
	}
	b[0] = 128
	seal(b, 2, src, dst, unix.IPPROTO_ICMPV6)
	return unix.IPPROTO_ICMPV6, b
}

// segment returns a TCP segment of an open connection.
func segment(src, dst netip.AddrPort, sequence, acknowledged uint32, payload ...byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(b, src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint32(b[4:], sequence)
	binary.BigEndian.PutUint32(b[8:], acknowledged)
	b[12], b[13] = 5<<4, 0x18 // PSH, ACK
	binary.BigEndian.PutUint16(b[14:], 500)
	b = append(b, payload...)
	seal(b, 16, src.Addr(), dst.Addr(), unix.IPPROTO_TCP)
	return b
}

// seal writes the checksum that covers the addresses too.
func seal(b []byte, at int, src, dst netip.Addr, proto int) {
	pseudo := append(src.AsSlice(), dst.AsSlice()...)
	pseudo = append(pseudo, 0, byte(proto), byte(len(b)>>8), byte(len(b)))
	binary.BigEndian.PutUint16(b[at:], checksum(append(pseudo, b...)))
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i, v := range b {
		if i%2 == 0 {
			sum += uint32(v) << 8
		} else {
			sum += uint32(v)
		}
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
