package rtnl

import (
	"context"
	"encoding/binary"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What is asked of unix sockets and answered (linux/unix_diag.h).
const (
	sizeofUnixDiagReq = 24 // struct unix_diag_req
	sizeofUnixDiagMsg = 16 // struct unix_diag_msg
	udiagShowName     = 1 << 0
	udiagShowUID      = 1 << 6
)

// UnixSocketOwner is the user who holds an abstract unix name, which begins with "@", in the namespace of the calling thread.
// Nobody may hold it. It is an error where the kernel does not tell (before Linux 5.3, or without CONFIG_UNIX_DIAG).
func UnixSocketOwner(ctx context.Context, name string) (uid uint32, found bool, err error) {
	msgs, err := dumpSockets(ctx, "unix sockets", unixSocketRequest{})
	if err != nil {
		return 0, false, err
	}
	name = "\x00" + name[1:]
	for _, m := range msgs {
		socketName, uid, known, err := parseUnixSocket(m)
		switch {
		case err != nil:
			return 0, false, err
		case socketName == name && !known:
			return 0, false, unix.EOPNOTSUPP
		case socketName == name:
			return uid, true, nil
		}
	}
	return 0, false, nil
}

// parseUnixSocket reads the attributes behind a struct unix_diag_msg.
func parseUnixSocket(m []byte) (name string, uid uint32, known bool, err error) {
	if len(m) < sizeofUnixDiagMsg {
		return "", 0, false, nil
	}
	attrs, err := nl.ParseRouteAttr(m[sizeofUnixDiagMsg:])
	for _, a := range attrs {
		switch {
		case a.Attr.Type == netlink.UNIX_DIAG_NAME:
			name = string(a.Value)
		case a.Attr.Type == netlink.UNIX_DIAG_UID && len(a.Value) == 4:
			uid, known = binary.NativeEndian.Uint32(a.Value), true
		}
	}
	return name, uid, known, err
}

// unixSocketRequest is a struct unix_diag_req for the names and owners of all unix sockets.
type unixSocketRequest struct{}

func (unixSocketRequest) Len() int { return sizeofUnixDiagReq }

func (unixSocketRequest) Serialize() []byte {
	b := make([]byte, sizeofUnixDiagReq)
	b[0] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0)) // in whatever state
	binary.NativeEndian.PutUint32(b[12:], udiagShowName|udiagShowUID)
	return b
}
