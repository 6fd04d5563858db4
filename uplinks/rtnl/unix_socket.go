package rtnl

import (
	"context"
	"encoding/binary"

	"replypath/marks/nlattr"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Constants of the unix socket requests of sock_diag(7) (linux/unix_diag.h).
const (
	sizeofUnixDiagReq = 24 // struct unix_diag_req
	sizeofUnixDiagMsg = 16 // struct unix_diag_msg
	udiagShowName     = 1 << 0
	udiagShowUID      = 1 << 6
)

// UnixSocketOwner returns the user ID of the process that bound the abstract unix name, written with a leading "@", in the
// network namespace of the calling thread. found is false when no socket has the name. It is an error when the kernel does
// not report owners (before Linux 5.3, or without CONFIG_UNIX_DIAG).
func UnixSocketOwner(ctx context.Context, name string) (uid uint32, found bool, err error) {
	msgs, err := dumpSockets(ctx, "unix sockets", unixSocketRequest{})
	if err != nil {
		return 0, false, err
	}
	name = "\x00" + name[1:]
	for _, m := range msgs {
		socketName, uid, known := parseUnixSocket(m)
		switch {
		case socketName == name && !known:
			return 0, false, unix.EOPNOTSUPP
		case socketName == name:
			return uid, true, nil
		}
	}
	return 0, false, nil
}

// parseUnixSocket decodes the name and the owner behind a struct unix_diag_msg. known is false when the kernel does not
// report owners.
func parseUnixSocket(m []byte) (name string, uid uint32, known bool) {
	if len(m) < sizeofUnixDiagMsg {
		return "", 0, false
	}
	for attrType, v := range nlattr.All(m[sizeofUnixDiagMsg:]) {
		switch {
		case attrType == netlink.UNIX_DIAG_NAME:
			name = string(v)
		case attrType == netlink.UNIX_DIAG_UID && len(v) == 4:
			uid, known = v.Uint32(), true
		}
	}
	return name, uid, known
}

// unixSocketRequest is a struct unix_diag_req for the names and owners of all unix sockets.
type unixSocketRequest struct{}

// Len returns the size in bytes.
func (unixSocketRequest) Len() int { return sizeofUnixDiagReq }

// Serialize encodes the request.
func (unixSocketRequest) Serialize() []byte {
	b := make([]byte, sizeofUnixDiagReq)
	b[0] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0)) // all states
	binary.NativeEndian.PutUint32(b[12:], udiagShowName|udiagShowUID)
	return b
}
