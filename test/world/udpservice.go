package world

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// UDPMode is how a UDP service chooses the source of its answers.
type UDPMode string

const (
	// Pktinfo answers from the destination of the request, by IP_PKTINFO, as careful servers do.
	Pktinfo UDPMode = "pktinfo"
	// Wildcard leaves the source to the kernel.
	Wildcard UDPMode = "wildcard"
	// Connect replies from a second socket that it connects to the client and binds to no address.
	Connect UDPMode = "connect"
	// Remembered answers as WireGuard does in the kernel: from the destination of the request, if the routing table would send
	// that by the link that the request came in by; otherwise it forgets the address, and leaves the source to the kernel.
	Remembered UDPMode = "remembered"
)

// ServeUDP answers datagrams on all addresses of both families.
func (h *Host) ServeUDP(port uint16, manner UDPMode) *Service {
	h.world.tb.Helper()
	return h.serveBoth(unix.IPPROTO_UDP, port, manner)
}

// ServeUDPAt answers datagrams from a socket that is bound to one address.
func (h *Host) ServeUDPAt(at netip.AddrPort) *Service {
	h.world.tb.Helper()
	return h.serveDatagrams(unix.IPPROTO_UDP, at, Wildcard)
}

// ServeUDPLite answers UDP-Lite on all addresses of both families, in the manner of Pktinfo.
func (h *Host) ServeUDPLite(port uint16) *Service {
	h.world.tb.Helper()
	return h.serveBoth(unix.IPPROTO_UDPLITE, port, Pktinfo)
}

func (h *Host) serveBoth(proto int, port uint16, manner UDPMode) *Service {
	h.world.tb.Helper()
	a := h.serveDatagrams(proto, netip.AddrPortFrom(netip.IPv4Unspecified(), port), manner)
	b := h.serveDatagrams(proto, netip.AddrPortFrom(netip.IPv6Unspecified(), port), manner)
	return h.newService(func() { a.Close(); b.Close() })
}

func (h *Host) serveDatagrams(proto int, at netip.AddrPort, manner UDPMode) *Service {
	h.world.tb.Helper()
	s, err := h.listenDatagrams(proto, at)
	h.must(err, "serve protocol %d on %s", proto, at)
	if manner == Pktinfo || manner == Remembered {
		h.must(enablePktinfo(s, at.Addr()), "serve protocol %d on %s", proto, at)
	}
	var stopped sync.WaitGroup
	stopped.Add(1)
	h.world.start(func() {
		defer stopped.Done()
		h.replyToDatagrams(s, proto, at, manner)
	})
	return h.newService(func() {
		s.close()
		stopped.Wait()
	})
}

func (h *Host) listenDatagrams(proto int, at netip.AddrPort) (*socket, error) {
	s, err := h.socket(family(at.Addr()), unix.SOCK_DGRAM, proto)
	if err != nil {
		return nil, err
	}
	if err := s.set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, err
	}
	if at.Addr().Is6() {
		if err := s.set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return nil, err
		}
	}
	return s, retryInUse(func() error { return s.bind(sockaddr(at)) })
}

func (h *Host) replyToDatagrams(s *socket, proto int, at netip.AddrPort, manner UDPMode) {
	buffer, control := make([]byte, 64<<10), make([]byte, 256)
	for h.world.ctx.Err() == nil {
		m, err := s.receive(buffer, control)
		if isClosed(err) {
			return
		}
		if err != nil {
			continue // an ICMP error
		}
		to := destination(m.control)
		if !to.IsValid() {
			to = at.Addr()
		}
		reply := hello{h.Name, netip.AddrPortFrom(to, at.Port()), addrPort(m.from)}.reply(m.data)
		switch manner {
		case Pktinfo:
			s.send(reply, pktinfo(to), m.from)
		case Remembered:
			h.replyFromRemembered(s, m, to, reply)
		case Connect:
			h.replyConnected(proto, at, m, reply)
		default:
			s.send(reply, nil, m.from)
		}
	}
}

func (h *Host) replyConnected(proto int, at netip.AddrPort, m message, reply []byte) {
	s, err := h.listenDatagrams(proto, at)
	if err != nil {
		return
	}
	defer s.close()
	if s.connect(m.from) == nil {
		s.send(reply, nil, nil)
	}
}
