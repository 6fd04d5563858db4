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
	unixDiagRequest = 24 // struct unix_diag_req
	unixDiagMessage = 16 // struct unix_diag_msg
	showName        = 1 << 0
	showUID         = 1 << 6
)

// NameHolder is the user who holds an abstract unix name, which begins with "@", in the namespace of the calling thread.
// Nobody may hold it. It is an error where the kernel does not tell (before Linux 5.3, or without CONFIG_UNIX_DIAG).
func NameHolder(ctx context.Context, name string) (uid uint32, held bool, err error) {
	msgs, err := diag(ctx, "unix sockets", unixRequest{})
	if err != nil {
		return 0, false, err
	}
	name = "\x00" + name[1:]
	for _, m := range msgs {
		is, uid, told, err := nameOwner(m)
		switch {
		case err != nil:
			return 0, false, err
		case is == name && !told:
			return 0, false, unix.EOPNOTSUPP
		case is == name:
			return uid, true, nil
		}
	}
	return 0, false, nil
}

// nameOwner reads the attributes behind a struct unix_diag_msg.
func nameOwner(m []byte) (name string, uid uint32, told bool, err error) {
	if len(m) < unixDiagMessage {
		return "", 0, false, nil
	}
	attrs, err := nl.ParseRouteAttr(m[unixDiagMessage:])
	for _, a := range attrs {
		switch {
		case a.Attr.Type == netlink.UNIX_DIAG_NAME:
			name = string(a.Value)
		case a.Attr.Type == netlink.UNIX_DIAG_UID && len(a.Value) == 4:
			uid, told = binary.NativeEndian.Uint32(a.Value), true
		}
	}
	return name, uid, told, err
}

// unixRequest is a struct unix_diag_req for the names and owners of all unix sockets.
type unixRequest struct{}

func (unixRequest) Len() int { return unixDiagRequest }

func (unixRequest) Serialize() []byte {
	b := make([]byte, unixDiagRequest)
	b[0] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0)) // in whatever state
	binary.NativeEndian.PutUint32(b[12:], showName|showUID)
	return b
}
