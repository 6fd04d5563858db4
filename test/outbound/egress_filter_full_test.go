package outbound

import (
	"errors"
	"net"
	"strings"
	"testing"

	"replypath/test/box"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// fillEgress attaches as many programs to the egress of the link as it takes, until the test ends.
func (g *gateway) fillEgress(t *testing.T, name string) {
	t.Helper()
	g.Gateway.Do(func() {
		on, err := net.InterfaceByName(name)
		if err != nil {
			t.Error(err)
			return
		}
		for {
			p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXEgress, License: "GPL",
				Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}})
			if err != nil {
				t.Error(err)
				return
			}
			l, err := link.AttachTCX(link.TCXOptions{Interface: on.Index, Program: p, Attach: ebpf.AttachTCXEgress})
			p.Close()
			if errors.Is(err, unix.ERANGE) { // of bpf_mprog_attach (kernel/bpf/mprog.c)
				return
			} else if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { l.Close() })
		}
	})
}

// A filter that the kernel refuses only when it is attached, as other programs have taken all places, is named by apply, and other links
// keep theirs.
func TestApplySaysThatFiltersWereRefused(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		g.fillEgress(t, g.Uplinks[1].Link.Name)
		r := g.Must(0, "apply")
		if n := strings.Count(r.Stderr, "packets from inside that no rule translates can leave by eth1: attach the filter at egress"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, r.Stderr)
		}
		if pins := g.Gateway.Pins("egress", "link_"); len(pins) != 1 {
			t.Errorf("there are the filters %v, want that of eth0", pins)
		}
		g.awaitUplink(t, g.LAN, 0)
	})
}
