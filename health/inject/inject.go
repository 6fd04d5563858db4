// Package inject makes the kernel receive frames that nobody sent: they take a packet's whole walk as if they had come
// in by a link. It is the only importer of the eBPF library, beside tests.
package inject

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cilium/ebpf"
)

// Gate is where frames enter. They enter in the network namespace of the calling thread.
type Gate struct{ program *ebpf.Program }

// Open loads the program that lets frames in.
func Open() (*Gate, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "replypath", Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: program(),
	})
	if err != nil {
		return nil, fmt.Errorf("load the program that lets frames in: %w: %s", err, remedy(err))
	}
	return &Gate{program}, nil
}

// Receive makes the kernel receive the frame, which begins with an Ethernet header, on the link with that index. What
// the kernel itself has to say to it has been said when it returns, unless the link's packets are spread over processors.
func (g *Gate) Receive(link int, frame []byte) error { return g.receive(link, frame, 0) }

// Knock makes the kernel receive a SYN as Receive does, and at once the RST that takes it back. Nothing comes between
// the two: even when the process is killed, no connection stays half open.
func (g *Gate) Knock(link int, w Way) error {
	header := uint32(ethernet + 20)
	if !w.To.Addr().Is4() {
		header = ethernet + 40
	}
	return g.receive(link, SYN(w), header)
}

// context is what the program is told (linux/bpf.h, struct __sk_buff).
type context struct {
	_      [12]uint32
	Link   uint32 // cb[0]
	Header uint32 // cb[1]: where the TCP header of a SYN begins that is to be taken back; 0: nothing is
}

func (g *Gate) receive(link int, frame []byte, header uint32) error {
	status, err := g.program.Run(&ebpf.RunOptions{Data: frame, Repeat: 1, Context: context{Link: uint32(link), Header: header}})
	if err == nil && int32(status) < 0 {
		err = syscall.Errno(-int32(status))
	}
	if err == nil && status > 0 {
		err = syscall.ENOBUFS // NET_RX_DROP
	}
	if err != nil {
		return fmt.Errorf("receive a frame on link %d: %w: %s", link, err, remedy(err))
	}
	return nil
}

// Close unloads the program.
func (g *Gate) Close() { g.program.Close() }

func remedy(err error) string {
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
