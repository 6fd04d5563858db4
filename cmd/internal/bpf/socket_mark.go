package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// offsetMark is the offset of the mark in the context of a program (linux/bpf.h, struct bpf_sock).
const offsetMark = 16

// MarkSockets makes each socket of IPv4 and IPv6 that processes of the group open carry the mark in the bits of the mask, from its
// beginning. Programs of groups above stay in force.
func (g *Group) MarkSockets(mark, mask uint32) error {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "replypath_mark", Type: ebpf.CGroupSock, AttachType: ebpf.AttachCGroupInetSockCreate,
		License: "Apache-2.0", Instructions: markProgram(mark, mask),
	})
	if err != nil {
		return fmt.Errorf("load the BPF program that marks sockets: %w: %s", err, hint(err))
	}
	defer program.Close()
	err = link.RawAttachProgram(link.RawAttachProgramOptions{
		Target: int(g.directory.Fd()), Program: program, Attach: ebpf.AttachCGroupInetSockCreate, Flags: unix.BPF_F_ALLOW_MULTI,
	})
	if err != nil {
		return fmt.Errorf("attach the BPF program that marks sockets to the control group /%s: %w: %s", g.Path, err, hint(err))
	}
	return nil
}

// markProgram returns a program that sets the bits of the mask in the socket's mark, and lets the socket be.
func markProgram(mark, mask uint32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, offsetMark, asm.Word),
		asm.And.Imm32(asm.R2, int32(^mask)),
		asm.Or.Imm32(asm.R2, int32(mark&mask)),
		asm.StoreMem(asm.R1, offsetMark, asm.R2, asm.Word),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
	}
}

// hint returns what is missing.
func hint(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "it needs root, with CAP_BPF and CAP_NET_ADMIN in the initial user namespace, and control groups above that allow further programs"
	case errors.Is(err, unix.ENOSYS):
		return "this kernel has no bpf(2)"
	case errors.Is(err, unix.E2BIG):
		return "too many programs are attached to the control groups above"
	}
	return "it needs Linux 5.7 or later with CONFIG_CGROUP_BPF"
}
