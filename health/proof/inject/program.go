package inject

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
)

// The offsets of a context's fields, and the flag by which a frame comes in (linux/bpf.h, BPF_F_INGRESS).
const (
	offsetIfindex   = 48
	offsetTCPOffset = 52
	flagIngress     = 1
)

// The places in a TCP header.
const (
	offsetSequence = 4
	offsetFlags    = 12
	offsetChecksum = 16
)

// newProgram receives a frame, and, where there is a TCP header to make a RST of, that RST as well. A program of this kind
// runs to its end within one call of the process. XDP's live frames are no way to do it: the kernel hands them on in
// lists, so that conntrack meets the RST before the SYN has made its connection; and they want Linux 5.18.
func newProgram() asm.Instructions {
	syn, rst := binary.BigEndian.AppendUint32(nil, initialSequence), binary.BigEndian.AppendUint32(nil, initialSequence+1)
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

// rewriteTCPField puts other bytes at a place in the TCP header, two or four, and sets the checksum right.
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
