package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// skbVLAN is the offset of vlan_present in struct __sk_buff.
const skbVLAN = 20

// The verdicts of a program at TCX (linux/bpf.h, enum tcx_action_base): what it does not drop is left to those behind it.
const tcxNext, tcxDrop = -1, 2

// networkHeader makes FnSkbLoadBytesRelative count from the network header (linux/bpf.h, BPF_HDR_START_NET): links without Ethernet
// have no other.
const networkHeader = 1

// networksMap is the name of the map of a program at egress, by which it refers to it: source networks of both families, of which the
// longest decides.
const networksMap = "networks"

// The stack of the programs at egress: a key of the map, which is a prefix length and an address.
const prefixKey, prefixAddr = -20, -16

// networkKey is a key of the map: struct bpf_lpm_trie_key, with IPv4 as ::ffff:a.b.c.d.
type networkKey struct {
	Bits uint32
	Addr [addrSize]byte
}

// networkValue is what the map has of a network.
type networkValue struct {
	Packets uint64 // that were dropped
	Drop    uint64 // 0: what comes from there passes
}

// mappedBits is the length of the prefix of IPv4 in 16 bytes.
const mappedBits = 96

func keyOf(p netip.Prefix) networkKey {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += mappedBits
	}
	return networkKey{uint32(bits), p.Addr().As16()}
}

func (k networkKey) prefix() netip.Prefix {
	a, bits := netip.AddrFrom16(k.Addr), int(k.Bits)
	if a.Is4In6() && bits >= mappedBits {
		return netip.PrefixFrom(a.Unmap(), bits-mappedBits)
	}
	return netip.PrefixFrom(a, bits)
}

// egressSpec returns the program that drops packets of the families by the map; the reference to that is not resolved yet.
func egressSpec(f EgressFilter) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Name: "rp_egress", Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXEgress, License: "Apache-2.0",
		Instructions: egressProgram(f.drops(netip.Addr.Is4), f.drops(netip.Addr.Is6))}
}

// networksSpec returns the map for the filter.
func networksSpec(f EgressFilter) *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: networksMap, Type: ebpf.LPMTrie, KeySize: uint32(binary.Size(networkKey{})), ValueSize: uint32(binary.Size(networkValue{})),
		MaxEntries: uint32(max(1, len(f.Drop)+len(f.Pass))), Flags: unix.BPF_F_NO_PREALLOC}
}

// egressProgram returns a program that drops, and counts, packets of the families without a mark and without a VLAN tag whose source is
// in a network of the map that says so. Two instructions decide about a packet with a mark.
func egressProgram(ipv4, ipv6 bool) asm.Instructions {
	all := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, skbMark, asm.Word), asm.JNE.Imm(asm.R2, 0, "next"),
		asm.LoadMem(asm.R2, asm.R1, skbVLAN, asm.Word), asm.JNE.Imm(asm.R2, 0, "next"),
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, skbProtocol, asm.Word),
	}
	if ipv4 {
		all = append(all, asm.JEq.Imm(asm.R2, etherType(unix.ETH_P_IP), "ipv4"))
	}
	if ipv6 {
		all = append(all, asm.JEq.Imm(asm.R2, etherType(unix.ETH_P_IPV6), "ipv6"))
	}
	all = append(all, asm.Ja.Label("next"))
	if ipv4 {
		source := mapped(prefixAddr)
		source[0] = source[0].WithSymbol("ipv4")
		all = slices.Concat(all, source, asm.Instructions{
			asm.Mov.Imm(asm.R2, offsetSource4), asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, prefixAddr+12), asm.Mov.Imm(asm.R4, 4),
			asm.Ja.Label("load"),
		})
	}
	if ipv6 {
		all = append(all, asm.Mov.Imm(asm.R2, offsetSource6).WithSymbol("ipv6"), asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, prefixAddr),
			asm.Mov.Imm(asm.R4, addrSize))
	}
	return slices.Concat(all, dropListed())
}

// dropListed loads the source of the packet, which R2 to R4 describe, into the key, and drops the packet if its network says so. R6 is
// the context.
func dropListed() asm.Instructions {
	return slices.Concat(
		asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("load"), asm.Mov.Imm(asm.R5, networkHeader),
			asm.FnSkbLoadBytesRelative.Call(),
			asm.JNE.Imm(asm.R0, 0, "next"),
			asm.StoreImm(asm.RFP, prefixKey, 8*addrSize, asm.Word),
		},
		lookUp(networksMap, prefixKey),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "next"),
			asm.LoadMem(asm.R1, asm.R0, 8, asm.DWord), asm.JEq.Imm(asm.R1, 0, "next"),
			asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R0, tcxDrop), asm.Return(),
			asm.Mov.Imm(asm.R0, tcxNext).WithSymbol("next"), asm.Return(),
		})
}
