package bpf

import (
	"slices"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// ingressProgram remembers where a request was sent. It leaves at once unless the packet has an uplink's mark, which the chain
// in PREROUTING gives to connections that came in by an uplink. Registers: R6 context, R7 socket, R9 mark.
func (c udpConstants) ingressProgram() asm.Instructions {
	i := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R9, asm.R6, skbMark, asm.Word),
		asm.And.Imm(asm.R9, int32(c.mask)),
		asm.JEq.Imm(asm.R9, 0, "pass"),
		asm.LoadMem(asm.R1, asm.R6, skbSk, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "pass"),
		asm.FnSkFullsock.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R1, asm.R7, skProtocol, asm.Word), asm.JNE.Imm(asm.R1, unix.IPPROTO_UDP, "pass"),
		asm.LoadMem(asm.R1, asm.R7, skSrc4, asm.Word), asm.JNE.Imm(asm.R1, 0, "pass"), // 0: on the wildcard address, in IPv6 too
		asm.LoadMem(asm.R1, asm.R7, skState, asm.Word), asm.JEq.Imm(asm.R1, tcpEstablished, "pass"),
	}
	if c.ingress {
		i = append(i, c.otherNamespace("pass")...)
	}
	i = append(i,
		asm.LoadMem(asm.R1, asm.R6, skbProtocol, asm.Word),
		asm.JEq.Imm(asm.R1, etherType(unix.ETH_P_IPV6), "v6"),
		asm.JNE.Imm(asm.R1, etherType(unix.ETH_P_IP), "pass"),
	)
	return slices.Concat(i, readAddresses4(), readAddresses6(), readPorts(), remember(), pass())
}

// loadBytes returns instructions that copy a part of the packet to the stack: from R2, if the offset is negative.
func loadBytes(offset, to, size int32) asm.Instructions {
	i := asm.Instructions{asm.Mov.Reg(asm.R1, asm.R6)}
	if offset >= 0 {
		i = append(i, asm.Mov.Imm(asm.R2, offset))
	}
	return append(i, asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, to), asm.Mov.Imm(asm.R4, size),
		asm.FnSkbLoadBytes.Call(), asm.JNE.Imm(asm.R0, 0, "pass"))
}

// readAddresses4 writes source and destination of an IPv4 packet into key and val, and the length of the header into R2.
func readAddresses4() asm.Instructions {
	return slices.Concat(loadBytes(0, header, sizeIPv4), mapped(key), mapped(val),
		copyStack(key+12, header+offsetSource4, asm.Word, 1), copyStack(val+12, header+offsetDestination4, asm.Word, 1),
		asm.Instructions{
			asm.LoadMem(asm.R2, asm.RFP, header, asm.Byte), asm.And.Imm(asm.R2, 15), asm.LSh.Imm(asm.R2, 2),
			asm.Ja.Label("ports"),
		})
}

// readAddresses6 does the same for IPv6. A packet with extension headers before UDP is not remembered.
func readAddresses6() asm.Instructions {
	load := loadBytes(0, header, sizeV6)
	load[0] = load[0].WithSymbol("v6")
	return slices.Concat(load,
		asm.Instructions{asm.LoadMem(asm.R1, asm.RFP, header+offsetNext6, asm.Byte), asm.JNE.Imm(asm.R1, unix.IPPROTO_UDP, "pass")},
		copyStack(key, header+offsetSource6, asm.DWord, 2), copyStack(val, header+offsetTo6, asm.DWord, 2),
		asm.Instructions{asm.Mov.Imm(asm.R2, sizeV6)})
}

// readPorts completes key and val by the ports, in the order of the wire, and the mark.
func readPorts() asm.Instructions {
	load := loadBytes(-1, key+addrSize, 4)
	load[0] = load[0].WithSymbol("ports")
	return append(load, asm.StoreMem(asm.RFP, val+addrSize, asm.R9, asm.Word))
}

// remember writes what was asked and when, if it is an address of an uplink: broadcasts are not. If only the time differs it
// writes that alone. What this host began (claim) stays so.
func remember() asm.Instructions {
	same := func(offset int16, size asm.Size) asm.Instructions {
		return asm.Instructions{
			asm.LoadMem(asm.R1, asm.R0, offset, size), asm.LoadMem(asm.R2, asm.RFP, val+offset, size), asm.JNE.Reg(asm.R1, asm.R2, "store"),
		}
	}
	write := update()
	write[0] = write[0].WithSymbol("store")
	return slices.Concat(
		lookUp(addrsMap, val), asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "pass"),
			asm.FnKtimeGetNs.Call(), asm.StoreMem(asm.RFP, val+askedWhen, asm.R0, asm.DWord),
			asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, val+addrSize+4, asm.R1, asm.Word),
		},
		lookUp(askedMap, key), asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "store"),
			asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.LoadMem(asm.R2, asm.R0, 8, asm.DWord), asm.Or.Reg(asm.R1, asm.R2),
			asm.JEq.Imm(asm.R1, 0, "pass"),
		},
		same(0, asm.DWord), same(8, asm.DWord), same(addrSize, asm.Word), asm.Instructions{
			asm.LoadMem(asm.R1, asm.RFP, val+askedWhen, asm.DWord), asm.StoreMem(asm.R0, askedWhen, asm.R1, asm.DWord),
			asm.Ja.Label("pass"),
		},
		write)
}
