package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
	"replypath/test/world"
)

// injector makes the kernel receive a frame on a link, any number of times, by an XDP program whose frames go into the
// stack. All that becomes of them until they are sent is done on the injecting thread, so its CPU time is their cost.
type injector struct {
	link    *world.Link
	frame   []byte
	program *ebpf.Program
}

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES: the program's verdict is carried out.
const liveFrames = 1 << 1

const batch = 8 // frames that the kernel has under way at a time

// received is struct xdp_md.
type received struct{ Data, DataEnd, DataMeta, Ingress, RxQueue, Egress uint32 }

// newInjector loads the program. A frame that varies has another source each time.
func newInjector(link *world.Link, frame []byte, varies bool) injector {
	code := write(frame)
	if varies {
		code = append(code, vary(binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IP)...)
	}
	code = append(code, asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"), asm.Return())
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: code})
	must(err, "load the program that receives on %s", link.Name)
	return injector{link, frame, program}
}

const xdpPass = 2

// write writes the whole frame: the kernel hands out the same memory again, as the stack has left it.
func write(frame []byte) asm.Instructions {
	code := asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R7, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R6),
		asm.Add.Imm(asm.R2, int32(len(frame))),
		asm.JGT.Reg(asm.R2, asm.R7, "pass"),
	}
	for at := 0; at < len(frame); at += wordBytes {
		word := int64(int32(binary.NativeEndian.Uint32(frame[at:])))
		code = append(code, asm.StoreImm(asm.R6, int16(at), word, asm.Word))
	}
	return code
}

// vary gives a UDP frame a random source. What changes is written a second time, inverted, where nothing
// reads it, so that the checksum stays as it is.
func vary(four bool) asm.Instructions {
	const (
		lastOctet4, id4, port4                         = 14 + 15, 14 + 5, 14 + 20
		lastWords6, beforeLast6, port6, firstOfPayload = 14 + 22, 14 + 20, 14 + 40, 14 + 48
	)
	inverted := func(at int16, size asm.Size) asm.Instructions {
		return asm.Instructions{asm.Mov.Reg(asm.R2, asm.R0), asm.Xor.Imm(asm.R2, 0xffff), asm.StoreMem(asm.R6, at, asm.R2, size)}
	}
	code := asm.Instructions{asm.FnGetPrandomU32.Call()}
	if four {
		code = append(code, asm.StoreMem(asm.R6, lastOctet4, asm.R0, asm.Byte))
		code = append(code, inverted(id4, asm.Byte)...)
		return append(code, asm.RSh.Imm(asm.R0, 16), asm.StoreMem(asm.R6, port4, asm.R0, asm.Half))
	}
	code = append(code, asm.StoreMem(asm.R6, lastWords6, asm.R0, asm.Half))
	code = append(code, inverted(beforeLast6, asm.Half)...)
	code = append(code, asm.RSh.Imm(asm.R0, 16), asm.StoreMem(asm.R6, port6, asm.R0, asm.Half))
	return append(code, inverted(firstOfPayload, asm.Half)...)
}

// receive makes the link receive the frame, and returns the CPU time of each.
func (in injector) receive(times int) (each time.Duration) {
	in.link.Host.Do(func() {
		options := ebpf.RunOptions{
			Data: in.frame, Repeat: uint32(times), Flags: liveFrames, BatchSize: batch,
			Context: received{DataEnd: uint32(len(in.frame)), Ingress: uint32(in.link.Index)},
		}
		before := threadTime()
		_, err := in.program.Run(&options)
		each = (threadTime() - before) / time.Duration(times)
		must(err, "receive on %s %s", in.link.Host.Name, in.link.Name)
	})
	return each
}

// threadTime returns the CPU time of the calling thread.
func threadTime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		panic(fmt.Sprintf("the kernel keeps no CPU time of a thread: %v", err))
	}
	return time.Duration(now.Nano())
}
