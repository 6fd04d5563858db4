package world

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sendDatagram sends from a socket that is not connected, so that a reply from the wrong address is received too.
func (h *Host) sendDatagram(q Request, proto int) Reply {
	s, err := h.open(q, unix.SOCK_DGRAM, proto)
	if err != nil {
		return Reply{Err: err}
	}
	defer s.close()
	payload := token(q.Size)
	return exchange{q, s, sockaddr(q.To), payload, func(m message) (Reply, bool) {
		return helloReply(addrPort(m.from), m.data, payload)
	}}.run()
}

// helloReply reads the answer of a service to a request with that payload.
func helloReply(from netip.AddrPort, data, request []byte) (a Reply, ok bool) {
	rest, ok := bytes.CutPrefix(data, request[:tokenLength])
	if !ok {
		return a, false
	}
	h, err := parseHello(rest)
	if err != nil {
		return a, false
	}
	return Reply{From: from, Host: h.host, Local: h.local, Peer: h.peer, Size: len(data)}, true
}

// sendClosedUDP sends from a connected socket, to which the kernel hands the ICMP error.
func (h *Host) sendClosedUDP(q Request) Reply {
	s, err := h.open(q, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	if err != nil {
		return Reply{Err: err}
	}
	defer s.close()
	if err := s.connect(sockaddr(q.To)); err != nil {
		return Reply{Err: os.NewSyscallError("connect", err)}
	}
	a := exchange{q, s, nil, token(q.Size), func(m message) (Reply, bool) {
		return Reply{From: addrPort(m.from), Size: len(m.data)}, true
	}}.run()
	switch {
	case errors.Is(a.Err, syscall.ECONNREFUSED):
		return Reply{OK: true, From: q.To}
	case a.OK:
		return Reply{From: a.From, Err: fmt.Errorf("%s is not closed", q.To)}
	}
	return a
}
