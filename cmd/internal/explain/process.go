package explain

import (
	"cmp"
	"fmt"

	"replypath/cmd/internal/doctor"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// holders are the processes that have sockets.
type holders struct {
	by    map[uint32]procfs.Holder
	whole bool // all processes could be looked at
}

// listening is the socket with its process, and who chooses where its answers come from.
func (h holders) listening(s rtnl.Socket, proto uint8) Listening {
	l := Listening{Socket: s, Proto: proto}
	holder, held := h.by[s.Inode]
	if held {
		l.Process, l.PID = holder.Name, fmt.Sprint(holder.ID)
	}
	if proto != rpdb.UDP || !s.Addr.IsUnspecified() {
		return l
	}
	l.Unsure = true
	if held {
		told, err := holder.TellsAddress()
		l.Told, l.Unsure = told, err != nil
	}
	// What no process holds is the kernel's own: WireGuard answers from where it was asked.
	l.Chooses = !l.Told && (held || !h.whole)
	return l
}

func remedy(process string) string {
	return cmp.Or(doctor.Remedy(process), "let it listen on each address, or ask for the address of each question (IP_PKTINFO)")
}
