package rtnl

import (
	"context"
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What is asked of unix sockets and answered (linux/unix_diag.h).
const (
	unixDiagRequest = 24 // struct unix_diag_req
	unixDiagMessage = 16 // struct unix_diag_msg
	showName        = 1 << 0
	showUID         = 1 << 6
	unixDiagName    = 0
	unixDiagUID     = 7
)

// NameHolder is the user who holds an abstract unix name, given without its leading zero byte, in the namespace of the
// calling thread. Nobody may hold it. It is an error where the kernel does not tell (before Linux 5.3, or without
// CONFIG_UNIX_DIAG).
func NameHolder(ctx context.Context, name string) (uid uint32, held bool, err error) {
	var msgs [][]byte
	err = dump(ctx, "unix sockets", func() (err error) {
		req := nl.NewNetlinkRequest(sockDiag, unix.NLM_F_DUMP)
		req.AddData(unixRequest{})
		msgs, err = req.Execute(unix.NETLINK_SOCK_DIAG, sockDiag)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	for _, m := range msgs {
		if len(m) < unixDiagMessage {
			continue
		}
		attrs, err := nl.ParseRouteAttr(m[unixDiagMessage:])
		if err != nil {
			return 0, false, err
		}
		var is string
		owner, told := uint32(0), false
		for _, a := range attrs {
			switch {
			case a.Attr.Type == unixDiagName:
				is = string(a.Value)
			case a.Attr.Type == unixDiagUID && len(a.Value) == 4:
				owner, told = binary.NativeEndian.Uint32(a.Value), true
			}
		}
		if is == "\x00"+name {
			if !told {
				return 0, false, unix.EOPNOTSUPP
			}
			return owner, true, nil
		}
	}
	return 0, false, nil
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
