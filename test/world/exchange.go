package world

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// exchange is a request of a protocol that does not repeat itself.
type exchange struct {
	request Request
	socket  *socket
	to      unix.Sockaddr // nil: the socket is connected
	payload []byte
	parse   func(message) (Reply, bool) // reads what may be the answer
}

// run sends the request, again and again, until an answer comes or patience ends.
func (e exchange) run() (a Reply) {
	deadline := time.Now().Add(e.request.timeout())
	buffer, control := make([]byte, 64<<10), make([]byte, 256)
	for time.Now().Before(deadline) {
		if err := e.socket.send(e.payload, nil, e.to); err != nil {
			return Reply{Err: os.NewSyscallError("sendmsg", err)}
		}
		e.socket.until(e.nextSend(deadline))
		for {
			m, err := e.socket.receive(buffer, control)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return Reply{Err: os.NewSyscallError("recvmsg", err)}
			}
			if a, ok := e.parse(m); ok {
				return a.check(e.request)
			}
		}
	}
	return Reply{Err: fmt.Errorf("no answer from %s: %w", e.request.To, os.ErrDeadlineExceeded)}
}

// nextSend returns until when a reply is awaited before the request is sent again.
func (e exchange) nextSend(deadline time.Time) time.Time {
	if e.request.NoResend {
		return deadline
	}
	return minTime(time.Now().Add(resendInterval), deadline)
}

// open makes the socket of a request: bound to its source, and with DF as it wishes.
func (h *Host) open(q Request, kind, proto int) (*socket, error) {
	s, err := h.socket(family(q.To.Addr()), kind, proto)
	if err != nil {
		return nil, err
	}
	if local, ok := q.local(); ok {
		if kind == unix.SOCK_RAW {
			local = netip.AddrPortFrom(local.Addr(), 0)
		}
		err = s.bind(sockaddr(local))
	}
	if err == nil && q.DontFrag {
		err = s.dontFragment(q.To.Addr())
	}
	if err != nil {
		s.close()
		return nil, os.NewSyscallError("bind", err)
	}
	return s, nil
}

// dontFragment sends with DF and lets even those packets out that the path is known to be too narrow for.
func (s *socket) dontFragment(to netip.Addr) error {
	if to.Is4() {
		return s.set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	}
	return s.set(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
}

// token makes the payload of a request: a token that no other request has, and what it takes to be of that size.
func token(size int) []byte {
	payload := make([]byte, max(size, tokenLength))
	rand.Read(payload[:tokenLength])
	return payload
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
