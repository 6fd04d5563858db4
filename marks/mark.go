package marks

import (
	"math/bits"
	"strconv"
)

// ID is an uplink's number as written in the configuration, 1 to MaxID. Connections remember their mark across
// reloads and two nodes of a pair must agree, so an ID is never dealt out by position.
type ID uint8

// MaxID is the largest number an uplink can have, however wide the mask is.
const MaxID = 255

// Mark is a fwmark or ctmark under a Mask. The zero Mark means "none of ours".
type Mark uint32

// Mask says which bits of a mark are ours. Bits outside it belong to others and are never read or written.
type Mask uint32

// DefaultMask leaves alone the bits that Docker, kube-proxy, Calico, the AWS CNI and Tailscale use.
const DefaultMask Mask = 0x1f00

// Contiguous reports whether the mask is one unbroken run of bits, and not empty.
func (m Mask) Contiguous() bool {
	shifted := uint64(m) >> m.shift()
	return m != 0 && shifted&(shifted+1) == 0
}

// MaxID is the largest ID whose mark fits the mask, at most MaxID.
func (m Mask) MaxID() ID {
	return ID(min(uint64(m)>>m.shift(), MaxID))
}

// Mark is the id shifted into the mask. The id must be at most m.MaxID().
func (m Mask) Mark(id ID) Mark {
	return Mark(uint32(id) << m.shift())
}

// ID is the id whose mark it is.
func (m Mask) ID(mark Mark) ID { return ID(uint32(mark) >> m.shift()) }

// High is the part of the mask that is left when its low n bits are taken away: a mark's block number of 2^n marks.
func (m Mask) High(n int) Mask {
	return m &^ (m & (1<<(m.shift()+n) - 1))
}

func (m Mask) shift() int { return bits.TrailingZeros32(uint32(m)) }

// String prints the mark as ip(8) and iptables(8) read and print it.
func (m Mark) String() string { return hex(uint32(m)) }

// String prints the mask as ip(8) and iptables(8) read and print it.
func (m Mask) String() string { return hex(uint32(m)) }

func hex(n uint32) string { return "0x" + strconv.FormatUint(uint64(n), 16) }
