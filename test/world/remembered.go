package world

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// replyFromRemembered queries the routing table as send4 and send6 of drivers/net/wireguard/socket.c do.
func (h *Host) replyFromRemembered(s *socket, m message, local netip.Addr, reply []byte) {
	client := addrPort(m.from)
	var source []byte
	routes, err := h.rtnl.RouteGetWithOptions(ip(client.Addr()), &netlink.RouteGetOptions{SrcAddr: ip(local)})
	if err == nil && len(routes) > 0 && routes[0].LinkIndex == arrivedBy(m.control) {
		source = pktinfo(local)
	}
	s.send(reply, source, m.from)
}

// arrivedBy returns the index of the link that a datagram came in by.
func arrivedBy(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			return int(binary.NativeEndian.Uint32(m.Data)) // ipi_ifindex
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			return int(binary.NativeEndian.Uint32(m.Data[16:])) // ipi6_ifindex
		}
	}
	return 0
}
