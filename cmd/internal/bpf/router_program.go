package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// The offsets of further fields of struct __sk_buff, and of the header of Ethernet.
const (
	skbPktType, skbIfindex, skbData, skbDataEnd = 4, 40, 76, 80
	etherSource, etherSize                      = 6, 14
)

// struct bpf_fib_lookup (linux/bpf.h): where its fields are on the stack, and the flags for a look-up in one table, without rules.
const (
	fib, fibSize                    = -88, 64
	fibIfindex, fibDst, fibTable    = fib + 8, fib + 32, fib + 48
	fibMAC, fibMACRest              = fib + 58, fib + 60
	fibLookupDirect, fibLookupTable = 1, 8
)

// The stack of the classifier below that: a key of the map.
const (
	routerKeyAt = -24
	macFirst    = routerKeyAt + 4 + macAt
	macRest     = macFirst + 2
)

// discardOnly is an address that only a default route leads to (RFC 6666). The kernel looks up no link-local one.
var discardOnly = netip.MustParseAddr("100::1")

// classifierSpec returns the program; the reference to its map is not resolved yet. The kernel lets only programs under the GPL look up
// routes (bpf_skb_fib_lookup_proto in net/core/filter.c): these instructions may be used under it, and under the BSD licence, too.
func classifierSpec(c RouterClassifier) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Name: "rp_ingress", Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXIngress, License: "Dual BSD/GPL",
		Instructions: classifierProgram(c)}
}

// classifierProgram returns a program that gives packets of the families, to the host and without a VLAN tag, the mark of the router
// whose neighbour entry has the sender of the frame, unless the firewall knows it as that router's. It changes the bits of the mask
// alone, which no packet has before. Registers: R6 context, R7 the mark by which the firewall knows the sender, R8 and R9 the sender.
func classifierProgram(c RouterClassifier) asm.Instructions {
	i := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, skbPktType, asm.Word), asm.JNE.Imm(asm.R2, unix.PACKET_HOST, "next"),
		asm.LoadMem(asm.R2, asm.R6, skbVLAN, asm.Word), asm.JNE.Imm(asm.R2, 0, "next"),
		asm.LoadMem(asm.R2, asm.R6, skbProtocol, asm.Word),
	}
	if c.IPv4 {
		i = append(i, asm.JEq.Imm(asm.R2, etherType(unix.ETH_P_IP), "ip"))
	}
	if c.IPv6 {
		i = append(i, asm.JEq.Imm(asm.R2, etherType(unix.ETH_P_IPV6), "ip"))
	}
	i = append(i, asm.Ja.Label("next"))
	return slices.Concat(i, clearMark(c.Mask), lookUpSender(), c.askRouters(), asm.Instructions{
		asm.LoadMem(asm.R2, asm.R6, skbMark, asm.Word).WithSymbol("mark"),
		asm.Or.Reg(asm.R2, asm.R7),
		asm.StoreMem(asm.R6, skbMark, asm.R2, asm.Word),
		asm.Mov.Imm(asm.R0, tcxNext).WithSymbol("next"), asm.Return(),
	})
}

// clearMark clears the bits of the mask, which no program before has to set.
func clearMark(mask uint32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R6, skbMark, asm.Word).WithSymbol("ip"),
		asm.Mov.Reg32(asm.R3, asm.R2), asm.And.Imm32(asm.R3, int32(mask)), asm.JEq.Imm(asm.R3, 0, "clear"),
		asm.And.Imm32(asm.R2, int32(^mask)),
		asm.StoreMem(asm.R6, skbMark, asm.R2, asm.Word),
	}
}

// lookUpSender reads the sender of the frame, and the mark by which the firewall knows it: 0 if it does not.
func lookUpSender() asm.Instructions {
	i := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R6, skbData, asm.Word).WithSymbol("clear"), asm.LoadMem(asm.R3, asm.R6, skbDataEnd, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2), asm.Add.Imm(asm.R4, etherSize), asm.JGT.Reg(asm.R4, asm.R3, "next"),
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, routerKeyAt, asm.R1, asm.DWord), asm.StoreMem(asm.RFP, routerKeyAt+8, asm.R1, asm.DWord),
		asm.StoreMem(asm.RFP, routerKeyAt+16, asm.R1, asm.Word),
	}
	for at := range int16(macSize / 2) {
		i = append(i, asm.LoadMem(asm.R1, asm.R2, etherSource+2*at, asm.Half), asm.StoreMem(asm.RFP, macFirst+2*at, asm.R1, asm.Half))
	}
	return slices.Concat(i, asm.Instructions{
		asm.LoadMem(asm.R8, asm.RFP, macFirst, asm.Half), asm.LoadMem(asm.R9, asm.RFP, macRest, asm.Word),
	}, lookUp(routersMap, routerKeyAt), asm.Instructions{
		asm.Mov.Imm(asm.R7, 0), asm.JEq.Imm(asm.R0, 0, "ask"),
		asm.LoadMem(asm.R7, asm.R0, 0, asm.Word), asm.JEq.Imm(asm.R7, 0, "next"),
		asm.Ja.Label("ask"),
	})
}

// askRouters looks for the sender in the entries of the packet's family, and then in those of the other one, which may be older.
func (c RouterClassifier) askRouters() asm.Instructions {
	var ipv4, ipv6 []Router
	for _, r := range c.Routers {
		if r.Addr.Is4() {
			ipv4 = append(ipv4, r)
		} else {
			ipv6 = append(ipv6, r)
		}
	}
	return slices.Concat(
		asm.Instructions{
			asm.LoadMem(asm.R2, asm.R6, skbProtocol, asm.Word).WithSymbol("ask"),
			asm.JEq.Imm(asm.R2, etherType(unix.ETH_P_IPV6), "a0"),
			asm.Ja.Label("b0"),
		},
		search("a", "a-other", ipv6), search("a-other", "next", ipv4),
		search("b", "b-other", ipv4), search("b-other", "next", ipv6))
}

// search looks for the sender in the entries of the router that the firewall knows, where it is in nearly every case, and then in those
// of the others. It begins with the label name and a 0, and goes on where otherwise begins.
func search(name, otherwise string, routers []Router) (all asm.Instructions) {
	label := func(n int) string { return fmt.Sprint(name, n) }
	for n, r := range routers {
		all = slices.Concat(all, asm.Instructions{asm.JNE.Imm32(asm.R7, int32(r.Mark), label(n+1)).WithSymbol(label(n))},
			r.ask(label(n+1)), asm.Instructions{asm.Ja.Label("next")})
	}
	for i, r := range routers {
		n := len(routers) + i
		all = slices.Concat(all, asm.Instructions{asm.JEq.Imm32(asm.R7, int32(r.Mark), label(n+1)).WithSymbol(label(n))},
			r.ask(label(n+1)), asm.Instructions{asm.Mov.Imm32(asm.R7, int32(r.Mark)), asm.Ja.Label("mark")})
	}
	if otherwise != "next" {
		otherwise += "0"
	}
	return append(all, asm.Ja.Label(otherwise).WithSymbol(label(2*len(routers))))
}

// ask looks up the neighbour entry of the router, and leaves unless it has the sender of the frame.
func (r Router) ask(leave string) asm.Instructions {
	family, dst := unix.AF_INET, r.Addr
	if dst.Is6() {
		family = unix.AF_INET6
		if dst.IsLinkLocalUnicast() {
			dst = discardOnly
		}
	}
	i := asm.Instructions{asm.Mov.Imm(asm.R1, 0)}
	for at := int16(0); at < fibSize; at += 8 {
		i = append(i, asm.StoreMem(asm.RFP, fib+at, asm.R1, asm.DWord))
	}
	i = append(i, asm.StoreImm(asm.RFP, fib, int64(family), asm.Byte),
		asm.LoadMem(asm.R1, asm.R6, skbIfindex, asm.Word), asm.StoreMem(asm.RFP, fibIfindex, asm.R1, asm.Word),
		asm.StoreImm(asm.RFP, fibTable, int64(int32(r.Table)), asm.Word))
	for at, bytes := int16(0), dst.AsSlice(); len(bytes) > 0; at, bytes = at+4, bytes[4:] {
		i = append(i, asm.StoreImm(asm.RFP, fibDst+at, int64(int32(binary.NativeEndian.Uint32(bytes))), asm.Word))
	}
	return append(i,
		asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, fib), asm.Mov.Imm(asm.R3, fibSize),
		asm.Mov.Imm(asm.R4, fibLookupDirect|fibLookupTable),
		asm.FnFibLookup.Call(), asm.JNE.Imm(asm.R0, 0, leave),
		asm.LoadMem(asm.R1, asm.RFP, fibIfindex, asm.Word), asm.LoadMem(asm.R2, asm.R6, skbIfindex, asm.Word), asm.JNE.Reg(asm.R1, asm.R2, leave),
		asm.LoadMem(asm.R1, asm.RFP, fibMAC, asm.Half), asm.JNE.Reg(asm.R1, asm.R8, leave),
		asm.LoadMem(asm.R1, asm.RFP, fibMACRest, asm.Word), asm.JNE.Reg(asm.R1, asm.R9, leave))
}
