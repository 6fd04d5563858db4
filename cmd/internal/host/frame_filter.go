package host

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Offsets in a frame of Ethernet.
const (
	sourceMACAt  = 6
	networkAt    = 14
	sourceIPv4At = networkAt + 12
	sourceIPv6At = networkAt + 8
)

const (
	// frameSize is how much of a frame is read: more than that of a TCP SYN.
	frameSize = 256
	// maxFilteredPrefixes bounds the program, which the kernel refuses beyond 4096 instructions: 300 hardware addresses and these.
	maxFilteredPrefixes = 64
	maxFilteredMACs     = 300
	packetTypeAt        = 1<<32 - 0x1000 + 4 // SKF_AD_OFF + SKF_AD_PKTTYPE (linux/filter.h)
)

// frameFilter returns a program of classic BPF that accepts the frames of one EtherType that are addressed to this host, do not
// come from one of the hardware addresses, and whose sender is in none of the prefixes.
func frameFilter(known []string, near []netip.Prefix) []unix.SockFilter {
	load := func(size uint16, at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_ABS | size, K: at}
	}
	equal := func(k uint32, otherwise uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: otherwise}
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	program := []unix.SockFilter{load(unix.BPF_W, packetTypeAt), equal(unix.PACKET_HOST, 1), {Code: unix.BPF_JMP | unix.BPF_JA, K: 1}, drop}
	program = append(program, load(unix.BPF_W, sourceMACAt))
	for _, text := range known[:min(len(known), maxFilteredMACs)] {
		if mac, err := net.ParseMAC(text); err == nil && len(mac) == ethernetAddrSize {
			program = append(program, equal(binary.BigEndian.Uint32(mac), 4),
				load(unix.BPF_H, sourceMACAt+4), equal(uint32(binary.BigEndian.Uint16(mac[4:])), 1), drop, load(unix.BPF_W, sourceMACAt))
		}
	}
	for _, p := range near[:min(len(near), maxFilteredPrefixes)] {
		at := uint32(sourceIPv4At)
		if p.Addr().Is6() {
			at = sourceIPv6At
		}
		program = append(program, prefixTest(p, at)...)
	}
	return append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: frameSize})
}

// prefixTest returns instructions that drop a packet whose address at the offset is in the prefix.
func prefixTest(p netip.Prefix, at uint32) (test []unix.SockFilter) {
	const perWord = 3 // instructions
	addr := p.Masked().Addr().AsSlice()
	words := (p.Bits() + 31) / 32
	for i := range words {
		mask := uint32(1<<32-1) << max(0, 32*(i+1)-p.Bits())
		rest := perWord*(words-i-1) + 1 // to the next test
		test = append(test,
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_ABS | unix.BPF_W, K: at + uint32(4*i)},
			unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: binary.BigEndian.Uint32(addr[4*i:]), Jf: uint8(rest)})
	}
	return append(test, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K})
}
