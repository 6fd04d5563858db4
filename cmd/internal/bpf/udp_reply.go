package bpf

import (
	"slices"
	"time"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// sendmsgProgram chooses the source of a datagram that has none: the address that the peer's request was sent to.
func (c udpConstants) sendmsgProgram(v6 bool) asm.Instructions {
	unchosen := asm.Instructions{asm.LoadMem(asm.R1, asm.R6, saSrc4, asm.Word), asm.JNE.Imm(asm.R1, 0, "pass")}
	set := asm.Instructions{asm.LoadMem(asm.R1, asm.RFP, val+12, asm.Word), asm.StoreMem(asm.R6, saSrc4, asm.R1, asm.Word)}
	if v6 {
		unchosen, set = nil, nil
		for w := range int16(4) {
			unchosen = append(unchosen, asm.LoadMem(asm.R1, asm.R6, saSrc6+4*w, asm.Word), asm.JNE.Imm(asm.R1, 0, "pass"))
			set = append(set, asm.LoadMem(asm.R1, asm.RFP, val+4*w, asm.Word), asm.StoreMem(asm.R6, saSrc6+4*w, asm.R1, asm.Word))
		}
		set[0] = set[0].WithSymbol("live")
		set = append(freshOrAlive(), set...)
	}
	unmarked := asm.Instructions{asm.LoadMem(asm.R1, asm.R7, skMark, asm.Word), asm.And.Imm(asm.R1, int32(c.mask)), asm.JNE.Imm(asm.R1, 0, "pass")}
	return slices.Concat(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, unchosen, peerPorts(), unmarked, c.otherNamespace("pass"), peerAddress(v6),
		c.remembered(), set, pass(), c.claim())
}

// connectProgram gives a server's socket that is connected to a client the mark of the uplink by which the client's request
// came in: the look-up in connect() then takes the source address of the uplink's table. The socket has its port already, so
// the program cannot bind it.
func (c udpConstants) connectProgram(v6 bool) asm.Instructions {
	return slices.Concat(
		asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.LoadMem(asm.R1, asm.R6, saProtocol, asm.Word), asm.JNE.Imm(asm.R1, unix.IPPROTO_UDP, "pass"),
		},
		peerPorts(),
		asm.Instructions{asm.LoadMem(asm.R1, asm.R7, skSrc4, asm.Word), asm.JNE.Imm(asm.R1, 0, "pass")},
		c.otherNamespace("pass"), peerAddress(v6), c.remembered(),
		asm.Instructions{
			asm.LoadMem(asm.R1, asm.R8, addrSize, asm.Word),
			asm.LoadMem(asm.R2, asm.R7, skMark, asm.Word), asm.And.Imm(asm.R2, int32(^c.mask)), asm.Or.Reg(asm.R1, asm.R2),
			asm.StoreMem(asm.RFP, val, asm.R1, asm.Word),
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm(asm.R2, unix.SOL_SOCKET), asm.Mov.Imm(asm.R3, unix.SO_MARK),
			asm.Mov.Reg(asm.R4, asm.RFP), asm.Add.Imm(asm.R4, val), asm.Mov.Imm(asm.R5, 4),
			asm.FnSetsockopt.Call(),
		}, pass(), c.claim())
}

// peerPorts writes the ports into key, and the socket into R7.
func peerPorts() asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R7, asm.R6, saSk, asm.DWord), asm.JEq.Imm(asm.R7, 0, "pass"),
		asm.LoadMem(asm.R1, asm.R7, skSport, asm.Word), asm.JEq.Imm(asm.R1, 0, "pass"),
		asm.HostTo(asm.BE, asm.R1, asm.Half), asm.StoreMem(asm.RFP, key+addrSize+2, asm.R1, asm.Half),
		asm.LoadMem(asm.R1, asm.R6, saPort, asm.Word), asm.StoreMem(asm.RFP, key+addrSize, asm.R1, asm.Half),
	}
}

// peerAddress writes the peer's address into key.
func peerAddress(v6 bool) (i asm.Instructions) {
	if !v6 {
		return append(mapped(key), asm.LoadMem(asm.R1, asm.R6, saIP4, asm.Word), asm.StoreMem(asm.RFP, key+12, asm.R1, asm.Word))
	}
	for w := range int16(4) {
		i = append(i, asm.LoadMem(asm.R1, asm.R6, saIP6+4*w, asm.Word), asm.StoreMem(asm.RFP, key+4*w, asm.R1, asm.Word))
	}
	return i
}

// remembered looks up the address that the peer's request was sent to, and copies it into val; R8 is the value in the map. It
// leaves the choice to the kernel if the address is no uplink's any more, or if nobody has said so for longer than the lease.
func (c udpConstants) remembered() asm.Instructions {
	unknown := "pass"
	if c.ownToo {
		unknown = "claim"
	}
	return slices.Concat(
		lookUp(askedMap, key),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, unknown), asm.Mov.Reg(asm.R8, asm.R0),
			asm.LoadMem(asm.R1, asm.R8, 0, asm.DWord), asm.StoreMem(asm.RFP, val, asm.R1, asm.DWord),
			asm.LoadMem(asm.R1, asm.R8, 8, asm.DWord), asm.StoreMem(asm.RFP, val+8, asm.R1, asm.DWord),
		},
		lookUp(addrsMap, val),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "pass"),
			asm.LoadMem(asm.R9, asm.R0, 0, asm.DWord),
			asm.FnKtimeGetNs.Call(),
			asm.JGE.Reg(asm.R0, asm.R9, "pass"),
		})
}

// maxUnguarded is the age of a request up to which its address is taken to be still there without a service.
const maxUnguarded = int32(time.Second)

// freshOrAlive leaves the choice to the kernel if no service watches the addresses and the request is older than maxUnguarded:
// for IPv4 the kernel refuses a source that the host does not have, for IPv6 it does not. R0 is the time, R8 what was asked.
func freshOrAlive() asm.Instructions {
	return slices.Concat(
		asm.Instructions{
			asm.Mov.Reg(asm.R9, asm.R0),
			asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, slot, asm.R1, asm.Word),
		},
		lookUp(aliveMap, slot),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "dead"),
			asm.Mov.Reg(asm.R1, asm.R0), asm.FnSkRelease.Call(), asm.Ja.Label("live"),
			asm.LoadMem(asm.R1, asm.R8, askedWhen, asm.DWord).WithSymbol("dead"), asm.Add.Imm(asm.R1, maxUnguarded),
			asm.JGT.Reg(asm.R9, asm.R1, "pass"),
		})
}

// claim records that this host has sent the first datagram to the peer: what comes back is a reply, although it has the mark
// of an uplink, and not a request. Only connections from inside that have marks need it.
func (c udpConstants) claim() asm.Instructions {
	if !c.ownToo {
		return nil
	}
	first := zero(val)
	first[0] = first[0].WithSymbol("claim")
	return slices.Concat(first, zero(val+addrSize), update(),
		asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()})
}
