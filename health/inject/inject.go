// Package inject makes the kernel receive frames that nobody sent: they take a packet's whole walk as if they had come
// in by a link. It is the only importer of the eBPF library, beside tests.
package inject

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Gate is where frames enter. They enter in the network namespace of the calling thread.
type Gate struct{ program *ebpf.Program }

// xdpPass lets a frame in (linux/bpf.h, XDP_PASS).
const xdpPass = 2

// liveFrames hands frames to the network stack instead of only running the program on them (linux/bpf.h,
// BPF_F_TEST_XDP_LIVE_FRAMES).
const liveFrames = 1 << 1

// Open loads the program that lets every frame in.
func Open() (*Gate, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "replypath", Type: ebpf.XDP, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	if err != nil {
		return nil, fmt.Errorf("load the program that lets frames in: %w: %s", err, remedy(err))
	}
	return &Gate{program}, nil
}

// Receive makes the kernel receive the frame, which begins with an Ethernet header, on the link with that index. The
// answer of the kernel itself has been given when it returns, unless the link's packets are spread over processors.
func (g *Gate) Receive(link int, frame []byte) error {
	_, err := g.program.Run(&ebpf.RunOptions{
		Data: frame, Repeat: 1, BatchSize: 1, Flags: liveFrames,
		Context: context{DataEnd: uint32(len(frame)), Ingress: uint32(link)},
	})
	if err != nil {
		return fmt.Errorf("receive a frame on link %d: %w: %s", link, err, remedy(err))
	}
	return nil
}

// context is what a program sees of a frame (linux/bpf.h, struct xdp_md).
type context struct{ Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32 }

// Close unloads the program.
func (g *Gate) Close() { g.program.Close() }

func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return "it needs CAP_BPF and CAP_NET_ADMIN in the first user namespace"
	case errors.Is(err, syscall.ENOSYS):
		return "this kernel has no bpf()"
	case errors.Is(err, syscall.ENODEV):
		return "the link is not there any more"
	}
	return "it needs Linux 5.18 or later"
}
