//go:build modules

package world

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// JoinPPP connects two hosts by PPP, with a link on each that has the IPv4 address and that of the other end, and returns when both are up.
// In place of a line, two pppd(8) send to each other what the kernel gives them.
func (w *World) JoinPPP(a *Host, nameA string, addrA netip.Addr, b *Host, nameB string, addrB netip.Addr) (*Link, *Link) {
	w.tb.Helper()
	line, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	a.must(err, "join %s to %s %s by PPP", nameA, b.Name, nameB)
	a.startPPP(os.NewFile(uintptr(line[0]), nameA), nameA, addrA, addrB, "::2,::1")
	b.startPPP(os.NewFile(uintptr(line[1]), nameB), nameB, addrB, addrA, "::1,::2")
	return a.awaitPPP(nameA, addrA), b.awaitPPP(nameB, addrB)
}

// startPPP starts pppd on an end of the line, which it closes here.
func (h *Host) startPPP(line *os.File, name string, here, there netip.Addr, interfaceIDs string) {
	h.world.tb.Helper()
	defer line.Close()
	c := h.Command(h.world.ctx, "pppd", "notty", "nodetach", "noauth", "local", "nodefaultroute", "noccp", "ifname", name,
		here.String()+":"+there.String(), "ipv6", interfaceIDs)
	c.Stdin, c.Stdout, c.Stderr = line, line, os.Stderr
	h.must(c.Start(), "start pppd for %s", name)
}

// awaitPPP waits until both families can use the link.
func (h *Host) awaitPPP(name string, addr netip.Addr) *Link {
	h.world.tb.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		var out bytes.Buffer
		c := h.Command(h.world.ctx, "ip", "addr", "show", "dev", name)
		c.Stdout = &out
		if c.Run() == nil && strings.Contains(out.String(), "inet "+addr.String()+" ") && strings.Contains(out.String(), "inet6 fe80::") {
			return h.adopt(name)
		}
		if time.Since(began) > pppTime {
			h.world.tb.Fatalf("host %s: no PPP on %s after %s:\n%s", h.Name, name, pppTime, out.String())
		}
	}
}

// pppTime is far more than two pppd take to agree.
const pppTime = 2 * time.Minute
