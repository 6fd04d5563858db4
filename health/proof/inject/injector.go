// Package inject injects frames at the ingress of a network interface. They take the kernel's whole packet flow, as if the
// interface had received them.
package inject

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cilium/ebpf"
)

// Injector injects frames in the network namespace of the calling thread.
type Injector struct {
	program  *ebpf.Program
	sequence uint32
}

// Open loads the BPF program. sequence is the initial sequence number of all SYNs. The error says which privilege or kernel
// version is missing.
func Open(sequence uint32) (*Injector, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "replypath", Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: newProgram(sequence),
	})
	if err != nil {
		return nil, fmt.Errorf("load the BPF program that injects frames: %w: %s", err, hint(err))
	}
	return &Injector{program, sequence}, nil
}

// Receive injects the frame, which begins with an Ethernet header, on the interface with that index. When it returns, the kernel
// has processed the frame and sent its own reply, unless the interface distributes packets over processors (RPS).
func (g *Injector) Receive(ifindex int, frame []byte) error { return g.receive(ifindex, frame, 0) }

// ReceiveAndReset injects a SYN, and at once the RST that takes it back, in one run of the BPF program: no connection stays half
// open, even when the process is killed.
func (g *Injector) ReceiveAndReset(ifindex int, a FrameAddrs) error {
	tcpOffset := uint32(ethernetHeaderLen + 20)
	if !a.To.Addr().Is4() {
		tcpOffset = ethernetHeaderLen + 40
	}
	return g.receive(ifindex, SYN(a, g.sequence), tcpOffset)
}

// skbContext is the context of the BPF program (linux/bpf.h, struct __sk_buff).
type skbContext struct {
	_         [12]uint32
	Ifindex   uint32 // cb[0]
	TCPOffset uint32 // cb[1]: the offset of the TCP header of a SYN that is followed by its RST; 0: no RST
}

func (g *Injector) receive(ifindex int, frame []byte, tcpOffset uint32) error {
	status, err := g.program.Run(&ebpf.RunOptions{Data: frame, Repeat: 1, Context: skbContext{Ifindex: uint32(ifindex), TCPOffset: tcpOffset}})
	if err == nil && int32(status) < 0 {
		err = syscall.Errno(-int32(status))
	}
	if err == nil && status > 0 {
		err = syscall.ENOBUFS // NET_RX_DROP
	}
	if err != nil {
		return fmt.Errorf("inject a frame on interface %d: %w: %s", ifindex, err, hint(err))
	}
	return nil
}

// Close unloads the BPF program.
func (g *Injector) Close() { g.program.Close() }

func hint(err error) string {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return "it needs CAP_BPF and CAP_NET_ADMIN in the initial user namespace"
	case errors.Is(err, syscall.ENOSYS):
		return "this kernel has no bpf(2)"
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENOBUFS):
		return "the interface has disappeared, is down, or is too busy"
	}
	return "it needs Linux 5.12 or later"
}
