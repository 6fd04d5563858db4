package marks

import (
	"fmt"
	"net"
	"strings"
)

// iptables compares a hardware address with one other only. The match bpf can compare one bit of it: its program may read the
// Ethernet header, which the other matches of headers cannot (net/netfilter/xt_bpf.c).

// BPFInstruction is an instruction of classic BPF (linux/filter.h, struct sock_filter).
type BPFInstruction struct {
	Code   uint16
	Jt, Jf uint8
	K      uint32
}

// The instructions of a MACBitProgram (linux/bpf_common.h): load a byte, jump if a bit is set, return.
const (
	bpfLoadByte  = 0x30
	bpfJumpIfSet = 0x45
	bpfReturn    = 0x06
)

// macAt is the offset of the source in the header of Ethernet, as programs of BPF address it (SKF_LL_OFF).
const macAt = 1<<32 - 0x200000 + 6

// macBits is the number of bits of a hardware address.
const macBits = 8 * hardwareAddrSize

// MACBitProgram returns the program that matches packets with Rule.MACBit.
func MACBitProgram(bit uint8) [4]BPFInstruction {
	return [...]BPFInstruction{
		{Code: bpfLoadByte, K: macAt + hardwareAddrSize - 1 - uint32(bit-1)/8},
		{Code: bpfJumpIfSet, Jf: 1, K: 1 << ((bit - 1) % 8)},
		{Code: bpfReturn, K: 1},
		{Code: bpfReturn},
	}
}

// MACBitOf returns the bit whose MACBitProgram it is; 0: it is none.
func MACBitOf(program []BPFInstruction) uint8 {
	for bit := uint8(1); bit <= macBits; bit++ {
		if want := MACBitProgram(bit); len(program) == len(want) && [len(want)]BPFInstruction(program) == want {
			return bit
		}
	}
	return 0
}

// macBitText returns the argument of --bytecode for a MACBit.
func macBitText(bit uint8) string {
	program := MACBitProgram(bit)
	words := []string{fmt.Sprint(len(program))}
	for _, i := range program {
		words = append(words, fmt.Sprintf("%d %d %d %d", i.Code, i.Jt, i.Jf, i.K))
	}
	return `"` + strings.Join(words, ",") + `"`
}

// macBit parses what macBitText has written.
func (p *parser) macBit() (bit uint8) {
	text := p.next()
	for len(p.words) > 0 && !strings.HasSuffix(text, `"`) {
		text += " " + p.next()
	}
	for bit = 1; bit <= macBits; bit++ {
		if macBitText(bit) == text {
			return bit
		}
	}
	p.fail("the program %s is not supported", text)
	return 0
}

// macNumber returns a hardware address as a number. Bit 1 of MACBit is the lowest one.
func macNumber(text string) (n uint64) {
	mac, _ := net.ParseMAC(text)
	for _, b := range mac {
		n = n<<8 | uint64(b)
	}
	return n
}
