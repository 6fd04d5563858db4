package host

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"replypath/cmd/internal/bpf"
	"replypath/uplinks"
)

// UDPHelp is what the programs of [udp] do now. The zero value helps nobody.
type UDPHelp struct {
	addrs map[netip.Addr]bool
	group string // as /proc names it; empty: all
}

// ReadUDPHelp returns what the programs of the settings do. It needs CAP_BPF and access to the pins; without, nothing is known
// to be helped.
func ReadUDPHelp(s uplinks.Settings) (h UDPHelp) {
	want := s.WantedUDPPrograms()
	if want == nil {
		return h
	}
	u, err := bpf.OpenUDP()
	if err != nil {
		return h
	}
	programs := udpSettings(*want)
	now, err := u.Read(&programs)
	if err != nil || !now.Current {
		return h
	}
	if root, err := bpf.CgroupRoot(); err == nil && want.Cgroup != "" {
		h.group = "/" + strings.Trim(strings.TrimPrefix(want.Cgroup, root), "/")
	}
	h.addrs = map[netip.Addr]bool{}
	for a, left := range now.Addrs {
		h.addrs[a] = left > 0
	}
	return h
}

// Active reports whether any server is helped.
func (h UDPHelp) Active() bool { return len(h.addrs) > 0 }

// Helps reports whether wildcard sockets of the process reply from the address that was asked.
func (h UDPHelp) Helps(pid int, asked netip.Addr) bool { return h.addrs[asked] && h.covers(pid) }

// covers reports whether the process is in the control group.
func (h UDPHelp) covers(pid int) bool {
	if h.group == "" || h.group == "/" {
		return true
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if path, unified := strings.CutPrefix(line, "0::"); unified {
			below, err := filepath.Rel(h.group, path)
			return err == nil && below != ".." && !strings.HasPrefix(below, "../")
		}
	}
	return false
}
