package bpf_test

import (
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// A program that another service has attached to the same control group exclusively stays, the error says so, and nothing of ours is
// left; when it is gone, the programs can be attached.
func TestExclusiveProgramOfAnotherServiceIsLeftAlone(t *testing.T) {
	u, s := open(t)
	foreign, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "foreign", Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupUDP6Sendmsg, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	group, err := os.Open(s.Cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	// Without a flag, no other program can be attached to the same hook of the group.
	if err := link.RawAttachProgram(link.RawAttachProgramOptions{Target: int(group.Fd()), Program: foreign, Attach: ebpf.AttachCGroupUDP6Sendmsg}); err != nil {
		t.Fatal(err)
	}
	if err := u.Attach(s); err == nil || !strings.Contains(err.Error(), "exclusively") {
		t.Errorf("beside an exclusive program: %v", err)
	}
	if state := read(t, u, s); state.Present {
		t.Errorf("after the failure: %+v", state)
	}
	all, err := link.QueryPrograms(link.QueryOptions{Target: int(group.Fd()), Attach: ebpf.AttachCGroupUDP6Sendmsg})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Programs) != 1 {
		t.Errorf("attached are %v, want the other service's program", all.Programs)
	}
	if err := link.RawDetachProgram(link.RawDetachProgramOptions{Target: int(group.Fd()), Program: foreign, Attach: ebpf.AttachCGroupUDP6Sendmsg}); err != nil {
		t.Fatal(err)
	}
	attach(t, u, s)
}
