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

// DestroyTCPSockets ends those of the host's own connections with these flows that are TCP: their programs get an error at once
// (ECONNABORTED) instead of when TCP gives up. It returns how many there were; a kernel without CONFIG_INET_DIAG_DESTROY is no error.
func DestroyTCPSockets(flows []Flow) (ended int, err error) {
	if len(flows) == 0 {
		return 0, nil
	}
	socket, err := nl.Subscribe(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, fmt.Errorf("open a sock_diag socket: %w", err)
	}
	defer socket.Close()
	by := map[int]*nl.SocketHandle{unix.NETLINK_SOCK_DIAG: {Socket: socket}}
	var errs []error
	for _, f := range flows {
		if f.Proto != unix.IPPROTO_TCP {
			continue
		}
		switch err := destroyTCPSocket(f, by); {
		case err == nil:
			ended++
		case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EOPNOTSUPP):
			errs = append(errs, fmt.Errorf("end the connection from %s to %s: %w", f.From, f.To, err))
		}
	}
	return ended, errors.Join(errs...)
}

// destroyTCPSocket ends a connection, ENOENT if the host has none with this flow. It asks for the socket first, and names it by its
// cookie: the kernel might find a listener of the port instead of the connection.
func destroyTCPSocket(f Flow, by map[int]*nl.SocketHandle) error {
	cookie, found, err := findTCPSocket(f, by)
	if err != nil {
		return err
	}
	if !found {
		return unix.ENOENT
	}
	destroy := nl.NewNetlinkRequest(sockDestroy, unix.NLM_F_ACK)
	destroy.Sockets = by
	destroy.AddData(exactSocketRequest{tcpSocketRequest{f.From, f.To}, cookie})
	_, err = destroy.Execute(unix.NETLINK_SOCK_DIAG, 0)
	return err
}

// HasTCPSocket reports whether the host itself has the end From of a TCP connection to To.
func HasTCPSocket(f Flow) (bool, error) {
	_, found, err := findTCPSocket(f, nil)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return found, err
}

// findTCPSocket returns the cookie of the host's socket with this flow. A listener of the port is none. It asks by these sockets, or by
// one of its own.
func findTCPSocket(f Flow, by map[int]*nl.SocketHandle) (cookie [cookieSize]byte, found bool, err error) {
	find := nl.NewNetlinkRequest(sockDiagByFamily, 0)
	find.Sockets = by
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
