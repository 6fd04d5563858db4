package host

import (
	"cmp"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Offsets in a frame of Ethernet.
const (
	sourceMACAt  = 6
	lowMACAt     = sourceMACAt + 2 // of the last four bytes of the source
	groupBit     = 0x01            // of the first byte of a hardware address
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
	maxLinearMACs       = 4                  // that are compared one after the other
	packetTypeAt        = 1<<32 - 0x1000 + 4 // SKF_AD_OFF + SKF_AD_PKTTYPE (linux/filter.h)
)

// frameFilter returns a program of classic BPF that accepts the frames of one EtherType that are addressed to this host, come from the
// address of one host, but not from one of the hardware addresses, and whose sender is in none of the prefixes.
func frameFilter(known []string, near []netip.Prefix) []unix.SockFilter {
	program := []unix.SockFilter{load(unix.BPF_W, packetTypeAt), equal(unix.PACKET_HOST, 1), {Code: unix.BPF_JMP | unix.BPF_JA, K: 1}, drop,
		load(unix.BPF_B, sourceMACAt), {Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: groupBit, Jf: 1}, drop}
	program = append(program, load(unix.BPF_W, lowMACAt))
	program = append(program, macTests(sortedMACs(known[:min(len(known), maxFilteredMACs)]))...)
	for _, p := range near[:min(len(near), maxFilteredPrefixes)] {
		at := uint32(sourceIPv4At)
		if p.Addr().Is6() {
			at = sourceIPv6At
		}
		program = append(program, prefixTest(p, at)...)
	}
	return append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: frameSize})
}

// load loads a number of the frame.
func load(size uint16, at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_ABS | size, K: at}
}

// equal jumps over instructions unless the number is the one.
func equal(k uint32, otherwise uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: otherwise}
}

// drop ends the program without the frame.
var drop = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}

// filteredMAC is a hardware address in the parts that the program compares: the last four bytes, in which the addresses of one maker
// differ, and the first two.
type filteredMAC struct {
	low  uint32
	high uint16
}

// sortedMACs returns the addresses of Ethernet, by their last bytes.
func sortedMACs(known []string) (all []filteredMAC) {
	for _, text := range known {
		if mac, err := net.ParseMAC(text); err == nil && len(mac) == ethernetAddrSize {
			all = append(all, filteredMAC{binary.BigEndian.Uint32(mac[2:]), binary.BigEndian.Uint16(mac)})
		}
	}
	slices.SortFunc(all, func(a, b filteredMAC) int { return cmp.Or(cmp.Compare(a.low, b.low), cmp.Compare(a.high, b.high)) })
	return slices.Compact(all)
}

// macTests returns instructions that drop a frame from one of the addresses, which are sorted, and leave the last bytes of its source
// loaded. Of many addresses they compare a few: the time is that of the logarithm of their number.
func macTests(all []filteredMAC) (tests []unix.SockFilter) {
	middle := len(all) / 2
	for middle < len(all) && middle > 0 && all[middle].low == all[middle-1].low {
		middle++
	}
	if len(all) > maxLinearMACs && middle < len(all) {
		before, behind := macTests(all[:middle]), macTests(all[middle:])
		tests = append(tests, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: all[middle].low, Jf: 1},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(before)) + 1})
		tests = append(append(tests, before...), unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(behind))})
		return append(tests, behind...)
	}
	for len(all) > 0 {
		same := slices.IndexFunc(all, func(mac filteredMAC) bool { return mac.low != all[0].low })
		if same < 0 {
			same = len(all)
		}
		tests = append(tests, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: all[0].low, Jt: 1},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(2*same + 2)}, load(unix.BPF_H, sourceMACAt))
		for _, mac := range all[:same] {
			tests = append(tests, equal(uint32(mac.high), 1), drop)
		}
		tests, all = append(tests, load(unix.BPF_W, lowMACAt)), all[same:]
	}
	return tests
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
