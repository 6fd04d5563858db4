package world

import (
	"bytes"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ServeRaw answers IP packets of protocol 253 on all addresses of both families, from the address that was asked.
func (h *Host) ServeRaw() *Service {
	h.world.tb.Helper()
	return h.serveRaw(RawIP, func(s *socket, to, from netip.Addr, data []byte) {
		peer := netip.AddrPortFrom(from, 0)
		if answer, ok := rawAnswer(hello{h.Name, netip.AddrPortFrom(to, 0), peer}, data); ok {
			s.send(answer, pktinfo(to), sockaddr(peer))
		}
	})
}

// serveRaw hands every packet of a protocol to answer.
func (h *Host) serveRaw(proto int, answer func(s *socket, to, from netip.Addr, data []byte)) *Service {
	h.world.tb.Helper()
	var sockets []*socket
	for _, at := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		s, err := h.socket(family(at), unix.SOCK_RAW, proto)
		h.must(err, "serve protocol %d", proto)
		h.must(askPktinfo(s, at), "serve protocol %d", proto)
		sockets = append(sockets, s)
		h.world.start(func() {
			buffer, control := make([]byte, 64<<10), make([]byte, 256)
			for {
				m, err := s.receive(buffer, control)
				if isClosed(err) {
					return
				}
				if err == nil {
					answer(s, destination(m.control), addrPort(m.from).Addr(), afterHeader(m, at))
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

// Questions and answers of protocol 253 begin with a word that tells them apart.
var rawQuestion, rawReply = []byte("ask "), []byte("say ")

func rawAnswer(said hello, question []byte) ([]byte, bool) {
	payload, ok := bytes.CutPrefix(question, rawQuestion)
	return append(bytes.Clone(rawReply), said.reply(payload)...), ok
}

func (h *Host) askRaw(q Question) Answer {
	s, err := h.open(q, unix.SOCK_RAW, RawIP)
	if err != nil {
		return Answer{Err: err}
	}
	defer s.close()
	payload := token(q.Size)
	question := append(bytes.Clone(rawQuestion), payload...)
	return exchange{q, s, sockaddr(bare(q.To)), question, func(m message) (Answer, bool) {
		data, ok := bytes.CutPrefix(afterHeader(m, q.To.Addr()), rawReply)
		if !ok {
			return Answer{}, false
		}
		return helloAnswer(bare(addrPort(m.from)), data, payload)
	}}.run()
}
