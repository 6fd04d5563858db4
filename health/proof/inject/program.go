package inject

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
)

// The offsets of the fields of skbContext, and BPF_F_INGRESS (linux/bpf.h).
const (
	offsetIfindex   = 48
	offsetTCPOffset = 52
	flagIngress     = 1
)

// The offsets in a TCP header.
const (
	offsetSequence = 4
	offsetFlags    = 12
	offsetChecksum = 16
)

// newProgram returns a program that redirects a clone of the frame to the interface's ingress and, when TCPOffset is set, turns
// the frame into a RST and redirects that too. The program runs to its end within one system call. XDP's live frames
// (BPF_F_TEST_XDP_LIVE_FRAMES) cannot replace it: the kernel passes them on in lists, so that conntrack sees the RST before the
// SYN's connection exists; and they need Linux 5.18.
func newProgram(sequence uint32) asm.Instructions {
	syn, rst := binary.BigEndian.AppendUint32(nil, sequence), binary.BigEndian.AppendUint32(nil, sequence+1)
	synFlags, rstFlags := []byte{tcpHeaderWords << 4, flagSYN}, []byte{tcpHeaderWords << 4, flagRST}
	all := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	all = append(all, cloneRedirect()...)
	all = append(all,
		asm.JNE.Imm(asm.R0, 0, "end"),
		asm.LoadMem(asm.R7, asm.R6, offsetTCPOffset, asm.Word),
		asm.JEq.Imm(asm.R7, 0, "end"),
	)
	all = append(all, rewriteTCPField(offsetSequence, syn, rst)...)
	all = append(all, rewriteTCPField(offsetFlags, synFlags, rstFlags)...)
	all = append(all, cloneRedirect()...)
	return append(all, asm.Return().WithSymbol("end"))
}

func cloneRedirect() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMem(asm.R2, asm.R6, offsetIfindex, asm.Word),
		asm.Mov.Imm(asm.R3, flagIngress),
		asm.FnCloneRedirect.Call(),
	}
}

// rewriteTCPField returns instructions that replace two or four bytes of the TCP header and update the checksum.
func rewriteTCPField(offset int32, before, after []byte) asm.Instructions {
	number := func(b []byte) int64 {
		if len(b) == 2 {
			return int64(binary.NativeEndian.Uint16(b))
		}
		return int64(binary.NativeEndian.Uint32(b))
	}
	size, store := int32(len(after)), asm.Word
	if size == 2 {
		store = asm.Half
	}
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.R7),
		asm.Add.Imm(asm.R2, offsetChecksum),
		asm.LoadImm(asm.R3, number(before), asm.DWord),
		asm.LoadImm(asm.R4, number(after), asm.DWord),
		asm.Mov.Imm(asm.R5, size),
		asm.FnL4CsumReplace.Call(),
		asm.LoadImm(asm.R3, number(after), asm.DWord),
		asm.StoreMem(asm.R10, -8, asm.R3, store),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.R7),
		asm.Add.Imm(asm.R2, offset),
		asm.Mov.Reg(asm.R3, asm.R10),
		asm.Add.Imm(asm.R3, -8),
		asm.Mov.Imm(asm.R4, size),
		asm.Mov.Imm(asm.R5, 0),
		asm.FnSkbStoreBytes.Call(),
	}
}
