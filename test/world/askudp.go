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

// askDatagram asks from a socket that is not connected, so that an answer from the wrong address is seen as such.
func (h *Host) askDatagram(q Question, proto int) Answer {
	s, err := h.open(q, unix.SOCK_DGRAM, proto)
	if err != nil {
		return Answer{Err: err}
	}
	defer s.close()
	payload := token(q.Size)
	return exchange{q, s, sockaddr(q.To), payload, func(m message) (Answer, bool) {
		return helloAnswer(addrPort(m.from), m.data, payload)
	}}.run()
}

// helloAnswer reads the answer of a service to a question with that payload.
func helloAnswer(from netip.AddrPort, data, question []byte) (a Answer, ok bool) {
	rest, ok := bytes.CutPrefix(data, question[:tokenLength])
	if !ok {
		return a, false
	}
	said, err := parseHello(rest)
	if err != nil {
		return a, false
	}
	return Answer{From: from, By: said.host, At: said.local, Saw: said.peer, Size: len(data)}, true
}

// askClosedUDP asks from a connected socket, to which the kernel hands the ICMP error.
func (h *Host) askClosedUDP(q Question) Answer {
	s, err := h.open(q, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	if err != nil {
		return Answer{Err: err}
	}
	defer s.close()
	if err := s.connect(sockaddr(q.To)); err != nil {
		return Answer{Err: os.NewSyscallError("connect", err)}
	}
	a := exchange{q, s, nil, token(q.Size), func(m message) (Answer, bool) {
		return Answer{From: addrPort(m.from), Size: len(m.data)}, true
	}}.run()
	switch {
	case errors.Is(a.Err, syscall.ECONNREFUSED):
		return Answer{OK: true, From: q.To}
	case a.OK:
		return Answer{From: a.From, Err: fmt.Errorf("%s is not closed", q.To)}
	}
	return a
}
