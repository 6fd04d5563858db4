package marks

import (
	"math/bits"
	"strconv"
)

// ID is an uplink's number as written in the configuration, 1 to MaxID. Connections keep their mark across reloads and
// the two nodes of a pair must agree on it, so an ID is never derived from the position in the configuration.
type ID uint8

// MaxID is the largest number of an uplink, however wide the mask is.
const MaxID = 255

// Mark is a fwmark or ctmark under a Mask. The zero Mark belongs to no uplink.
type Mark uint32

// Mask selects the bits of a mark that replypath owns. Bits outside it belong to other programs and are preserved.
type Mask uint32

// DefaultMask avoids the bits that Docker, kube-proxy, Calico, the AWS CNI and Tailscale use.
const DefaultMask Mask = 0x1f00

// FullMask selects all bits of a mark.
const FullMask Mask = 0xffffffff

// Contiguous reports whether the mask is one run of set bits, and not empty.
func (m Mask) Contiguous() bool {
	shifted := uint64(m) >> m.shift()
	return m != 0 && shifted&(shifted+1) == 0
}

// MaxID returns the largest ID whose mark fits the mask, at most MaxID.
func (m Mask) MaxID() ID {
	return ID(min(uint64(m)>>m.shift(), MaxID))
}

// Mark returns the id shifted into the mask. The id must be at most m.MaxID().
func (m Mask) Mark(id ID) Mark {
	return Mark(uint32(id) << m.shift())
}

// ID returns the id that Mark shifted into the mask.
func (m Mask) ID(mark Mark) ID { return ID(uint32(mark) >> m.shift()) }

// High returns the mask without its low n bits. A mark under it is the number of a block of 2^n marks.
func (m Mask) High(n int) Mask {
	return m &^ (m & (1<<(m.shift()+n) - 1))
}

func (m Mask) shift() int { return bits.TrailingZeros32(uint32(m)) }

// String formats the mark as ip(8) and iptables(8) read and print it.
func (m Mark) String() string { return hex(uint32(m)) }

// String formats the mask as ip(8) and iptables(8) read and print it.
func (m Mask) String() string { return hex(uint32(m)) }

func hex(n uint32) string { return "0x" + strconv.FormatUint(uint64(n), 16) }
