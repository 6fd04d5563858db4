package world

import (
	"bytes"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ServeRaw answers IP packets of protocol 253 on all addresses of both families, from the destination of the request.
func (h *Host) ServeRaw() *Service {
	h.world.tb.Helper()
	return h.serveRaw(RawIP, func(s *socket, to, from netip.Addr, data []byte) {
		peer := netip.AddrPortFrom(from, 0)
		if reply, ok := parseRawReply(hello{h.Name, netip.AddrPortFrom(to, 0), peer}, data); ok {
			s.send(reply, pktinfo(to), sockaddr(peer))
		}
	})
}

// serveRaw hands every packet of a protocol to answer.
func (h *Host) serveRaw(proto int, reply func(s *socket, to, from netip.Addr, data []byte)) *Service {
	h.world.tb.Helper()
	var sockets []*socket
	for _, at := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		s, err := h.socket(family(at), unix.SOCK_RAW, proto)
		h.must(err, "serve protocol %d", proto)
		h.must(enablePktinfo(s, at), "serve protocol %d", proto)
		sockets = append(sockets, s)
		h.world.start(func() {
			buffer, control := make([]byte, 64<<10), make([]byte, 256)
			for {
				m, err := s.receive(buffer, control)
				if isClosed(err) {
					return
				}
				if err == nil {
					reply(s, destination(m.control), addrPort(m.from).Addr(), afterHeader(m, at))
				}
			}
		})
	}
	return h.newService(func() {
		for _, s := range sockets {
			s.close()
		}
	})
}

// Requests and replies of protocol 253 begin with different words.
var rawRequestPrefix, rawReplyPrefix = []byte("ask "), []byte("say ")

func parseRawReply(h hello, request []byte) ([]byte, bool) {
	payload, ok := bytes.CutPrefix(request, rawRequestPrefix)
	return append(bytes.Clone(rawReplyPrefix), h.reply(payload)...), ok
}

func (h *Host) sendRaw(q Request) Reply {
	s, err := h.open(q, unix.SOCK_RAW, RawIP)
	if err != nil {
		return Reply{Err: err}
	}
	defer s.close()
	payload := token(q.Size)
	packet := append(bytes.Clone(rawRequestPrefix), payload...)
	return exchange{q, s, sockaddr(withoutPort(q.To)), packet, func(m message) (Reply, bool) {
		data, ok := bytes.CutPrefix(afterHeader(m, q.To.Addr()), rawReplyPrefix)
		if !ok {
			return Reply{}, false
		}
		return helloReply(withoutPort(addrPort(m.from)), data, payload)
	}}.run()
}
