package box

import (
	"net"
	"testing"

	"replypath/test/world"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// AttachProgram attaches a BPF program of another service at a hook of a link of the host, before all others or behind them, until the
// test ends or the function that it returns is called. The program returns the verdict.
func AttachProgram(t *testing.T, h *world.Host, linkName, name string, hook ebpf.AttachType, at link.Anchor, verdict int32) (detach func()) {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.SchedCLS, AttachType: hook, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	var attached link.Link
	h.Do(func() {
		var on *net.Interface
		if on, err = net.InterfaceByName(linkName); err == nil {
			attached, err = link.AttachTCX(link.TCXOptions{Interface: on.Index, Program: program, Attach: hook, Anchor: at})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { attached.Close() })
	return func() {
		t.Helper()
		if err := attached.Detach(); err != nil {
			t.Error(err)
		}
	}
}
