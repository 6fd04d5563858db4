package explain

import (
	"cmp"
	"fmt"

	"replypath/cmd/internal/doctor"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// socketOwners are the processes that have sockets.
type socketOwners struct {
	byInode  map[uint32]procfs.SocketOwner
	complete bool // all processes could be looked at
}

// describe is the socket with its process, and who chooses where its answers come from.
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
	// What no process holds is the kernel's own: WireGuard answers from where it was asked.
	l.KernelSource = !l.PktInfo && (held || !h.complete)
	return l
}

func replyRemedy(process string) string {
	return cmp.Or(doctor.ServerRemedy(process), "let it listen on each address, or ask for the address of each question (IP_PKTINFO)")
}
