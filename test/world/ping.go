package world

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ICMP's types of echo.
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// sendPing sends from a raw socket, which receives every echo reply that reaches the host, also from another address.
func (h *Host) sendPing(q Request) Reply {
	proto, reply := unix.IPPROTO_ICMP, byte(echoReply4)
	if q.To.Addr().Is6() {
		proto, reply = unix.IPPROTO_ICMPV6, echoReply6
	}
	s, err := h.open(q, unix.SOCK_RAW, proto)
	if err != nil {
		return Reply{Err: err}
	}
	defer s.close()
	payload := token(q.Size)
	request := echoRequest(q.To.Addr(), q.From.Port(), payload)
	return exchange{q, s, sockaddr(withoutPort(q.To)), request, func(m message) (Reply, bool) {
		data := afterHeader(m, q.To.Addr())
		if len(data) < 8 || data[0] != reply || !bytes.Equal(data[8:], payload) {
			return Reply{}, false
		}
		return Reply{From: withoutPort(addrPort(m.from)), Size: len(data) - 8}, true
	}}.run()
}

// echoRequest returns an ICMP message; the kernel fills in the checksum of the IPv6 one.
func echoRequest(to netip.Addr, id uint16, payload []byte) []byte {
	b := append(make([]byte, 8), payload...)
	binary.BigEndian.PutUint16(b[4:], id)
	b[7] = 1
	if to.Is6() {
		b[0] = echoRequest6
		return b
	}
	b[0] = echoRequest4
	binary.BigEndian.PutUint16(b[2:], checksum(0, b))
	return b
}

// afterHeader returns what a raw socket received without the IP header, which only those of IPv4 hand out.
func afterHeader(m message, a netip.Addr) []byte {
	if a.Is6() || len(m.data) < 20 {
		return m.data
	}
	return m.data[min(int(m.data[0]&15)*4, len(m.data)):]
}

// withoutPort returns an address with no port, as raw sockets want it.
func withoutPort(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }
