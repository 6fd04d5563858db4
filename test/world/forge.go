package world

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// Forge sends one packet that claims to come from the request's From, which need not be the host's. It goes by the
// host's own routes. A TCP request is a SYN without options. No reply is awaited.
func (h *Host) Forge(q Request) {
	h.world.tb.Helper()
	s, err := h.socket(family(q.To.Addr()), unix.SOCK_RAW, unix.IPPROTO_RAW)
	h.must(err, "forge %s", q.Kind)
	defer s.close()
	if q.To.Addr().Is6() {
		h.must(s.set(unix.IPPROTO_IPV6, unix.IPV6_HDRINCL, 1), "forge %s", q.Kind)
	}
	packet := forged(q)
	if packet == nil {
		h.world.tb.Fatalf("host %s: cannot forge a question of kind %q", h.Name, q.Kind)
	}
	err = s.send(packet, nil, sockaddr(withoutPort(q.To)))
	h.must(os.NewSyscallError("sendmsg", err), "forge %s from %s to %s", q.Kind, q.From, q.To)
}

// forged returns the request as an IP packet; nil when its kind is not known here.
func forged(q Request) []byte {
	switch q.Kind {
	case KindTCP, KindClosedTCP:
		b := make([]byte, 20)
		putPorts(b, q)
		binary.BigEndian.PutUint32(b[4:], randomTag())
		b[12], b[13] = 5<<4, byte(SYN)
		binary.BigEndian.PutUint16(b[14:], 0xffff) // window
		return ipPacket(q, TCP, checksummed(q, TCP, b, 16))
	case KindUDP, KindClosedUDP:
		b := append(make([]byte, 8), token(q.Size)...)
		putPorts(b, q)
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
		return ipPacket(q, UDP, checksummed(q, UDP, b, 6))
	case KindPing:
		b := echoRequest(q.To.Addr(), q.From.Port(), token(q.Size))
		if q.To.Addr().Is4() {
			return ipPacket(q, ICMP, b)
		}
		return ipPacket(q, ICMPv6, checksummed(q, ICMPv6, b, 2))
	case KindRaw:
		return ipPacket(q, RawIP, append([]byte(rawRequestPrefix), token(q.Size)...))
	case KindSCTP:
		return ipPacket(q, SCTP, sctpPacket{src: q.From.Port(), dst: q.To.Port(), chunk: sctpInit, initiate: randomTag()}.bytes())
	}
	return nil
}

func putPorts(b []byte, q Request) {
	binary.BigEndian.PutUint16(b, q.From.Port())
	binary.BigEndian.PutUint16(b[2:], q.To.Port())
}

// checksummed writes the checksum that covers the addresses too.
func checksummed(q Request, proto int, b []byte, at int) []byte {
	sum := checksum(pseudoHeader(q.From.Addr(), q.To.Addr(), proto, len(b)), b)
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], sum)
	return b
}

// ipPacket puts an IP header before the payload; the kernel fills in IPv4's checksum.
func ipPacket(q Request, proto int, payload []byte) []byte {
	const hops = 64
	if q.To.Addr().Is6() {
		b := make([]byte, 40, 40+len(payload))
		b[0], b[6], b[7] = 6<<4, byte(proto), hops
		binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
		copy(b[8:], q.From.Addr().AsSlice())
		copy(b[24:], q.To.Addr().AsSlice())
		return append(b, payload...)
	}
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 4<<4|5, hops, byte(proto)
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], q.From.Addr().AsSlice())
	copy(b[16:], q.To.Addr().AsSlice())
	return append(b, payload...)
}
