package explain

import (
	"cmp"
	"fmt"

	"replypath/cmd/internal/doctor"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// socketOwners maps sockets to processes.
type socketOwners struct {
	byInode  map[uint32]procfs.SocketOwner
	complete bool // all processes could be read
}

// describe returns the socket with its process, and whether the kernel chooses the source of its replies.
func (h socketOwners) describe(s rtnl.Socket, proto uint8) ListeningSocket {
	l := ListeningSocket{Socket: s, Proto: proto}
	holder, held := h.byInode[s.Inode]
	if held {
		l.Process, l.PID = holder.Name, fmt.Sprint(holder.PID)
	}
	if proto != rpdb.UDP || !s.Addr.IsUnspecified() {
		return l
	}
	l.PktInfoUnknown = true
	if held {
		pktInfo, err := holder.ReceivesLocalAddress()
		l.PktInfo, l.PktInfoUnknown = pktInfo, err != nil
	}
	// A socket without process belongs to the kernel, such as one of WireGuard.
	l.KernelSource = !l.PktInfo && (held || !h.complete)
	return l
}

func replyRemedy(process string) string {
	return cmp.Or(doctor.ServerRemedy(process), "bind it to each address, or use IP_PKTINFO to reply from the address that received the request")
}
