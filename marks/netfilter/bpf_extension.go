package netfilter

import "replypath/marks"

// The layout of struct xt_bpf_info_v1: its mode, the number of its instructions, and where they begin (linux/netfilter/xt_bpf.h). Mode 0
// is that of a program of classic BPF.
const (
	sizeBPF        = 528
	bpfBytecode    = 0
	bpfNumberAt    = 2
	bpfProgramAt   = 8
	bpfInstruction = 8
	maxBPF         = 64
)

func (e extension) decodeBPF(r *marks.Rule) bool {
	number := int(e.uint16At(bpfNumberAt))
	if r.MACBit != 0 || e.uint16At(0) != bpfBytecode || number > maxBPF {
		return false
	}
	program := make([]marks.BPFInstruction, number)
	for i := range program {
		at := bpfProgramAt + i*bpfInstruction
		program[i] = marks.BPFInstruction{Code: e.uint16At(at), Jt: e.info[at+2], Jf: e.info[at+3], K: e.uint32At(at + 4)}
	}
	r.MACBit = marks.MACBitOf(program)
	return r.MACBit != 0
}
