package bpf

import (
	"encoding/binary"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// The offsets of the fields of struct __sk_buff, struct bpf_sock and struct bpf_sock_addr (linux/bpf.h).
const (
	skbMark, skbProtocol, skbSk                   = 8, 16, 168
	skProtocol, skMark, skSrc4, skSport, skState  = 12, 16, 24, 44, 72
	saIP4, saIP6, saPort, saProtocol              = 4, 8, 24, 36
	saSrc4, saSrc6, saSk                          = 40, 44, 64
	tcpEstablished                                = 1 // of skState: a UDP socket is connected
	offsetSource4, offsetDestination4, sizeIPv4   = 12, 16, 20
	offsetNext6, offsetSource6, offsetTo6, sizeV6 = 6, 8, 24, 40
)

// The stack of all programs: the key and the value of the map asked, the key of the map alive, and the header of a packet.
const (
	key, val, slot, header = -24, -64, -28, -112
)

// Sizes of the keys and values of the maps.
const (
	addrSize    = 16 // IPv4 as ::ffff:a.b.c.d
	requestSize = 20 // client's address, port, server's port
	askedSize   = 32 // the address that received the request, mark, 4 bytes of 0, and when (ktime)
	askedWhen   = 24 // in askedSize
)

// mappedPrefix is the third word of an IPv4 address in 16 bytes, in the order of the machine.
var mappedPrefix = int64(binary.NativeEndian.Uint32([]byte{0, 0, 0xff, 0xff}))

// etherType returns the protocol of a packet as the machine reads it from __sk_buff.
func etherType(n uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n)))
}

// The names of the maps, by which the programs refer to them.
const (
	askedMap = "asked" // which address a client's request was sent to
	addrsMap = "addrs" // the uplinks' addresses, each with the time until which it may be used (ktime)
	aliveMap = "alive" // a socket of the service, which the kernel removes when the service ends
)

// udpProgram is one of the programs and its hook.
type udpProgram struct {
	name   string
	typ    ebpf.ProgramType
	attach ebpf.AttachType
	insns  asm.Instructions
}

// spec returns the program for the kernel; references to maps are not resolved yet.
func (p udpProgram) spec() *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Name: "rp_" + p.name, Type: p.typ, AttachType: p.attach, License: "Apache-2.0", Instructions: p.insns}
}

// udpConstants are the constants of the programs.
type udpConstants struct {
	mask    uint32 // of the uplinks' marks
	netns   uint64 // cookie of the network namespace whose sockets are helped
	ownToo  bool   // connections from inside have marks too: what comes back must not count as a request
	ingress bool   // the kernel tells ingress programs the namespace of a socket
}

// udpPrograms returns the programs. They let everything pass: all they do is to remember where a request was sent, and to
// choose a source that nobody has chosen.
func udpPrograms(c udpConstants) []udpProgram {
	return []udpProgram{
		{"ingress", ebpf.CGroupSKB, ebpf.AttachCGroupInetIngress, c.ingressProgram()},
		{"sendmsg4", ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP4Sendmsg, c.sendmsgProgram(false)},
		{"sendmsg6", ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP6Sendmsg, c.sendmsgProgram(true)},
		{"connect4", ebpf.CGroupSockAddr, ebpf.AttachCGroupInet4Connect, c.connectProgram(false)},
		{"connect6", ebpf.CGroupSockAddr, ebpf.AttachCGroupInet6Connect, c.connectProgram(true)},
	}
}

// lookUp returns instructions that look up the key at that offset of the stack: R0 is the address of the value, or 0.
func lookUp(name string, offset int32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, 0).WithReference(name),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, offset),
		asm.FnMapLookupElem.Call(),
	}
}

// update returns instructions that write key and val into the map asked.
func update() asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, 0).WithReference(askedMap),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, key),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, val),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
	}
}

// otherNamespace returns instructions that jump away unless the socket is of the namespace. R6 is the context.
func (c udpConstants) otherNamespace(away string) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6), asm.FnGetNetnsCookie.Call(),
		asm.LoadImm(asm.R1, int64(c.netns), asm.DWord), asm.JNE.Reg(asm.R0, asm.R1, away),
	}
}

// pass ends a program: the packet, or the call, goes on.
func pass() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 1).WithSymbol("pass"), asm.Return()}
}

// zero clears 16 bytes of the stack.
func zero(offset int16) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, offset, asm.R1, asm.DWord), asm.StoreMem(asm.RFP, offset+8, asm.R1, asm.DWord),
	}
}

// mapped writes the prefix of an IPv4 address in 16 bytes.
func mapped(offset int16) asm.Instructions {
	return append(zero(offset), asm.LoadImm(asm.R1, mappedPrefix, asm.DWord), asm.StoreMem(asm.RFP, offset+8, asm.R1, asm.Word))
}

// copyStack copies words or double words within the stack.
func copyStack(to, from int16, size asm.Size, n int) (all asm.Instructions) {
	for i := range n {
		step := int16(i * size.Sizeof())
		all = append(all, asm.LoadMem(asm.R1, asm.RFP, from+step, size), asm.StoreMem(asm.RFP, to+step, asm.R1, size))
	}
	return all
}
