// Package inject makes the kernel receive frames that nobody sent: they take a packet's whole walk as if they had come
// in by a link. It is the only importer of the eBPF library, beside tests.
package inject

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cilium/ebpf"
)

// Injector is where frames enter. They enter in the network namespace of the calling thread.
type Injector struct{ program *ebpf.Program }

// Open loads the program that lets frames in.
func Open() (*Injector, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "replypath", Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: newProgram(),
	})
	if err != nil {
		return nil, fmt.Errorf("load the program that lets frames in: %w: %s", err, hint(err))
	}
	return &Injector{program}, nil
}

// Receive makes the kernel receive the frame, which begins with an Ethernet header, on the link with that index. What
// the kernel itself has to say to it has been said when it returns, unless the link's packets are spread over processors.
func (g *Injector) Receive(ifindex int, frame []byte) error { return g.receive(ifindex, frame, 0) }

// ReceiveAndReset makes the kernel receive a SYN as Receive does, and at once the RST that takes it back. Nothing comes between
// the two: even when the process is killed, no connection stays half open.
func (g *Injector) ReceiveAndReset(ifindex int, a FrameAddrs) error {
	tcpOffset := uint32(ethernetHeaderLen + 20)
	if !a.To.Addr().Is4() {
		tcpOffset = ethernetHeaderLen + 40
	}
	return g.receive(ifindex, SYN(a), tcpOffset)
}

// skbContext is what the program is told (linux/bpf.h, struct __sk_buff).
type skbContext struct {
	_         [12]uint32
	Ifindex   uint32 // cb[0]
	TCPOffset uint32 // cb[1]: where the TCP header of a SYN begins that is to be taken back; 0: nothing is
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
		return fmt.Errorf("receive a frame on link %d: %w: %s", ifindex, err, hint(err))
	}
	return nil
}

// Close unloads the program.
func (g *Injector) Close() { g.program.Close() }

func hint(err error) string {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return "it needs CAP_BPF and CAP_NET_ADMIN in the first user namespace"
	case errors.Is(err, syscall.ENOSYS):
		return "this kernel has no bpf()"
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENOBUFS):
		return "the link has gone, is down, or is too busy"
	}
	return "it needs Linux 5.12 or later"
}
