package world

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// enablePktinfo makes the kernel add its destination to every datagram.
func enablePktinfo(s *socket, a netip.Addr) error {
	if a.Is4() {
		return s.set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return s.set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// destination returns the address a datagram was sent to.
func destination(control []byte) netip.Addr {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.Addr{}
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(m.Data[8:])) // ipi_addr
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(m.Data)) // ipi6_addr
		}
	}
	return netip.Addr{}
}

// pktinfo returns the control message that sends from an address, by the link that the kernel chooses.
func pktinfo(from netip.Addr) []byte {
	if from.Is4() {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: from.As16()})
}

func isClosed(err error) bool { return errors.Is(err, os.ErrClosed) }
