package nftnl

import (
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// The expressions of a rule (linux/netfilter/nf_tables.h). Registers are counted in words of 32 bits, from 0.

func expression(name string, attributes ...[]byte) []byte {
	return Nested(unix.NFTA_LIST_ELEM, netfilter.StringAttribute(unix.NFTA_EXPR_NAME, name), Nested(unix.NFTA_EXPR_DATA, attributes...))
}

// register returns the number of a register, as the kernel lists it: every fourth one has the number of one of 128 bits.
func register(word int) uint32 {
	if word%4 == 0 {
		return uint32(unix.NFT_REG_1 + word/4)
	}
	return uint32(unix.NFT_REG32_00 + word)
}

// Meta loads metadata of the packet into a register.
func Meta(key uint32, to int) []byte {
	return expression("meta", Uint32Attribute(unix.NFTA_META_KEY, key), Uint32Attribute(unix.NFTA_META_DREG, register(to)))
}

// RouteIPsec is NFT_RT_XFRM: 1 for a packet that an IPsec policy transforms.
const RouteIPsec = 4

// Route loads metadata of the packet's route (enum nft_rt_keys) into a register. A packet without a route does not match the rule.
func Route(key uint32, to int) []byte {
	return expression("rt", Uint32Attribute(unix.NFTA_RT_KEY, key), Uint32Attribute(unix.NFTA_RT_DREG, register(to)))
}

// SetMeta writes a register to metadata of the packet.
func SetMeta(key uint32, from int) []byte {
	return expression("meta", Uint32Attribute(unix.NFTA_META_KEY, key), Uint32Attribute(unix.NFTA_META_SREG, register(from)))
}

// Ct loads metadata of the packet's connection into a register. A packet without a connection does not match the rule.
func Ct(key uint32, to int) []byte {
	return expression("ct", Uint32Attribute(unix.NFTA_CT_KEY, key), Uint32Attribute(unix.NFTA_CT_DREG, register(to)))
}

// CtOf loads a property of one direction of the packet's connection (enum ip_conntrack_dir) into a register.
func CtOf(direction uint8, key uint32, to int) []byte {
	return expression("ct", Uint32Attribute(unix.NFTA_CT_KEY, key), Uint32Attribute(unix.NFTA_CT_DREG, register(to)),
		netfilter.Attribute(unix.NFTA_CT_DIRECTION, []byte{direction}))
}

// SetCt writes a register to metadata of the packet's connection.
func SetCt(key uint32, from int) []byte {
	return expression("ct", Uint32Attribute(unix.NFTA_CT_KEY, key), Uint32Attribute(unix.NFTA_CT_SREG, register(from)))
}

// Field loads bytes of a header (NFT_PAYLOAD_*) into a register.
func Field(base, offset, length uint32, to int) []byte {
	return expression("payload", Uint32Attribute(unix.NFTA_PAYLOAD_DREG, register(to)), Uint32Attribute(unix.NFTA_PAYLOAD_BASE, base),
		Uint32Attribute(unix.NFTA_PAYLOAD_OFFSET, offset), Uint32Attribute(unix.NFTA_PAYLOAD_LEN, length))
}

// SetPort writes a register to a port of the UDP header, at the offset, and corrects the checksum.
func SetPort(offset uint32, from int) []byte {
	const checksumOffset = 6 // RFC 768
	return expression("payload", Uint32Attribute(unix.NFTA_PAYLOAD_SREG, register(from)), Uint32Attribute(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_TRANSPORT_HEADER),
		Uint32Attribute(unix.NFTA_PAYLOAD_OFFSET, offset), Uint32Attribute(unix.NFTA_PAYLOAD_LEN, 2),
		Uint32Attribute(unix.NFTA_PAYLOAD_CSUM_TYPE, unix.NFT_PAYLOAD_CSUM_INET), Uint32Attribute(unix.NFTA_PAYLOAD_CSUM_OFFSET, checksumOffset))
}

// Rt loads the next hop of the packet's route into a register. A packet without a route does not match the rule.
func Rt(key uint32, to int) []byte {
	return expression("rt", Uint32Attribute(unix.NFTA_RT_KEY, key), Uint32Attribute(unix.NFTA_RT_DREG, register(to)))
}

// Mask replaces the bits of a register outside the mask by those of xor, which has no others. Both have its length.
func Mask(word int, mask, xor []byte) []byte {
	return expression("bitwise", Uint32Attribute(unix.NFTA_BITWISE_SREG, register(word)), Uint32Attribute(unix.NFTA_BITWISE_DREG, register(word)),
		Uint32Attribute(unix.NFTA_BITWISE_LEN, uint32(len(mask))), data(unix.NFTA_BITWISE_MASK, mask), data(unix.NFTA_BITWISE_XOR, xor))
}

// MaskMark replaces the bits of a mark as Mask does.
func MaskMark(word int, mask, xor uint32) []byte { return Mask(word, Native(mask), Native(xor)) }

// Equals matches when the register has the value.
func Equals(word int, value []byte) []byte { return Compare(word, unix.NFT_CMP_EQ, value) }

// CompareMark compares a register with a mark, an index or a number of a group: NFT_CMP_EQ, NFT_CMP_NEQ.
func CompareMark(word int, operation, mark uint32) []byte {
	return Compare(word, operation, Native(mark))
}

// Compare matches when the register and the value, which are compared as numbers in network byte order, are in that order.
func Compare(word int, operation uint32, value []byte) []byte {
	return expression("cmp", Uint32Attribute(unix.NFTA_CMP_SREG, register(word)), Uint32Attribute(unix.NFTA_CMP_OP, operation),
		data(unix.NFTA_CMP_DATA, value))
}

// InSet matches when the set has the key that begins at the register.
func InSet(set Set, word int) []byte {
	return expression("lookup", netfilter.StringAttribute(unix.NFTA_LOOKUP_SET, set.Name), Uint32Attribute(unix.NFTA_LOOKUP_SET_ID, set.ID),
		Uint32Attribute(unix.NFTA_LOOKUP_SREG, register(word)))
}

// VerdictMap applies the verdict that a map has for the key in the register. Without one the rule does not match.
func VerdictMap(name string, word int) []byte {
	return expression("lookup", netfilter.StringAttribute(unix.NFTA_LOOKUP_SET, name), Uint32Attribute(unix.NFTA_LOOKUP_SREG, register(word)),
		Uint32Attribute(unix.NFTA_LOOKUP_DREG, unix.NFT_REG_VERDICT))
}

// Load loads a constant into a register.
func Load(word int, value uint32) []byte { return LoadBytes(word, Native(value)) }

// LoadByte loads a constant of one byte into a register.
func LoadByte(word int, value byte) []byte { return LoadBytes(word, []byte{value}) }

// LoadBytes loads a constant into the registers from word on.
func LoadBytes(word int, value []byte) []byte {
	return expression("immediate", Uint32Attribute(unix.NFTA_IMMEDIATE_DREG, register(word)), data(unix.NFTA_IMMEDIATE_DATA, value))
}

// FromMap loads the mark that the map has for the key which begins at the first register. A packet without one does not match
// the rule.
func FromMap(set Set, to int) []byte {
	return expression("lookup", netfilter.StringAttribute(unix.NFTA_LOOKUP_SET, set.Name), Uint32Attribute(unix.NFTA_LOOKUP_SET_ID, set.ID),
		Uint32Attribute(unix.NFTA_LOOKUP_SREG, register(0)), Uint32Attribute(unix.NFTA_LOOKUP_DREG, register(to)))
}

// AddToMap adds the key that begins at the first register to the map, with the mark of another register.
func AddToMap(set Set, from int) []byte {
	return expression("dynset", netfilter.StringAttribute(unix.NFTA_DYNSET_SET_NAME, set.Name), Uint32Attribute(unix.NFTA_DYNSET_SET_ID, set.ID),
		Uint32Attribute(unix.NFTA_DYNSET_OP, unix.NFT_DYNSET_OP_ADD), Uint32Attribute(unix.NFTA_DYNSET_SREG_KEY, register(0)),
		Uint32Attribute(unix.NFTA_DYNSET_SREG_DATA, register(from)))
}

// AddToSet adds the key that begins at the first register to the set.
func AddToSet(set Set) []byte {
	return expression("dynset", netfilter.StringAttribute(unix.NFTA_DYNSET_SET_NAME, set.Name), Uint32Attribute(unix.NFTA_DYNSET_SET_ID, set.ID),
		Uint32Attribute(unix.NFTA_DYNSET_OP, unix.NFT_DYNSET_OP_ADD), Uint32Attribute(unix.NFTA_DYNSET_SREG_KEY, register(0)))
}

// CountIn counts the packet in a counter of the table.
func CountIn(counter string) []byte {
	return expression("objref", Uint32Attribute(unix.NFTA_OBJREF_IMM_TYPE, unix.NFT_OBJECT_COUNTER), netfilter.StringAttribute(unix.NFTA_OBJREF_IMM_NAME, counter))
}

// Count counts the packet in a counter of the rule.
func Count() []byte { return expression("counter") }

// Jump continues with another chain until that returns.
func Jump(chain string) []byte { return setVerdict(verdict(unix.NFT_JUMP, chain)) }

// Goto continues with another chain, which returns to the caller of this one.
func Goto(chain string) []byte { return setVerdict(verdict(unix.NFT_GOTO, chain)) }

// Return returns to the calling chain.
func Return() []byte { return setVerdict(verdict(unix.NFT_RETURN, "")) }

// Drop drops the packet.
func Drop() []byte { return setVerdict(verdict(nfDrop, "")) }

// Accept ends the traversal of the base chain.
func Accept() []byte { return setVerdict(verdict(nfAccept, "")) }

// NF_DROP and NF_ACCEPT (linux/netfilter.h).
const (
	nfDrop   = 0
	nfAccept = 1
)

// verdict returns the attribute of a verdict, with its chain if it has one.
func verdict(code int32, chain string) []byte {
	parts := [][]byte{Uint32Attribute(unix.NFTA_VERDICT_CODE, uint32(code))}
	if chain != "" {
		parts = append(parts, netfilter.StringAttribute(unix.NFTA_VERDICT_CHAIN, chain))
	}
	return Nested(unix.NFTA_DATA_VERDICT, slices.Concat(parts...))
}

func setVerdict(verdict []byte) []byte {
	return expression("immediate", Uint32Attribute(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT), Nested(unix.NFTA_IMMEDIATE_DATA, verdict))
}
