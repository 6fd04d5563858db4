package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// sockDestroy is SOCK_DESTROY (linux/sock_diag.h).
const sockDestroy = 21

// Offsets of id.idiag_cookie in a struct inet_diag_msg and in a struct inet_diag_req_v2, and its size.
const (
	cookieInAnswer  = 44
	cookieInRequest = 48
	cookieSize      = 8
)

// DestroyTCPSocket ends the host's own TCP connection with this flow: its program gets an error at once (ECONNABORTED) instead of
// when TCP gives up. It reports whether there was one; a kernel without CONFIG_INET_DIAG_DESTROY is no error. It asks for the
// socket first, and names it by its cookie: the kernel might find a listener of the port instead of the connection.
func DestroyTCPSocket(f Flow) (ended bool, err error) {
	cookie, found, err := findTCPSocket(f)
	if err == nil && !found {
		return false, nil
	}
	if err == nil {
		destroy := nl.NewNetlinkRequest(sockDestroy, unix.NLM_F_ACK)
		destroy.AddData(exactSocketRequest{tcpSocketRequest{f.From, f.To}, cookie})
		_, err = destroy.Execute(unix.NETLINK_SOCK_DIAG, 0)
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("end the connection from %s to %s: %w", f.From, f.To, err)
	}
	return true, nil
}

// HasTCPSocket reports whether the host itself has the end From of a TCP connection to To.
func HasTCPSocket(f Flow) (bool, error) {
	_, found, err := findTCPSocket(f)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return found, err
}

// findTCPSocket returns the cookie of the host's socket with this flow. A listener of the port is none.
func findTCPSocket(f Flow) (cookie [cookieSize]byte, found bool, err error) {
	find := nl.NewNetlinkRequest(sockDiagByFamily, 0)
	find.AddData(tcpSocketRequest{f.From, f.To})
	msgs, err := find.Execute(unix.NETLINK_SOCK_DIAG, sockDiagByFamily)
	if err != nil || len(msgs) != 1 || len(msgs[0]) < cookieInAnswer+cookieSize || binary.BigEndian.Uint16(msgs[0][6:]) != f.To.Port() {
		return cookie, false, err
	}
	return [cookieSize]byte(msgs[0][cookieInAnswer:]), true, nil
}

// exactSocketRequest is a tcpSocketRequest for the one socket with the cookie.
type exactSocketRequest struct {
	tcpSocketRequest
	cookie [cookieSize]byte
}

// Serialize encodes the request.
func (r exactSocketRequest) Serialize() []byte {
	b := r.tcpSocketRequest.Serialize()
	copy(b[cookieInRequest:], r.cookie[:])
	return b
}
