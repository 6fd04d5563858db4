package world

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Advertisement is a router advertisement (RFC 4861, 4.2).
type Advertisement struct {
	From       netip.Addr // a link-local address of the host
	Lifetime   uint16     // in seconds
	MTU        uint32
	Preference int8 // among routers: 1, 0 or -1 (RFC 4191, 2.2)
}

// Advertise sends a router's advertisement by the link to all on the other side.
func (l *Link) Advertise(a Advertisement) {
	l.Host.world.tb.Helper()
	m := []byte{134, 0, 0, 0, 64, byte(a.Preference) & 3 << 3}
	m = binary.BigEndian.AppendUint16(m, a.Lifetime)
	m = append(m, 0, 0, 0, 0, 0, 0, 0, 0) // reachable and retransmission times: unspecified
	m = binary.BigEndian.AppendUint32(append(m, 5, 1, 0, 0), a.MTU)
	s, err := l.Host.socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)
	l.Host.must(err, "advertise by %s", l.Name)
	defer s.close()
	l.Host.must(s.set(unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255), "advertise by %s", l.Name)
	l.Host.must(s.bind(&unix.SockaddrInet6{Addr: a.From.As16(), ZoneId: uint32(l.Index)}), "advertise from %s", a.From)
	all := [16]byte{0: 0xff, 1: 2, 15: 1}
	l.Host.must(os.NewSyscallError("sendmsg", s.send(m, nil, &unix.SockaddrInet6{Addr: all, ZoneId: uint32(l.Index)})), "advertise by %s", l.Name)
}
