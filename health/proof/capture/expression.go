package capture

import (
	"encoding/binary"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// The expressions of a rule (linux/netfilter/nf_tables.h). Registers are counted in words of 32 bits, from 0.

func expression(name string, attributes ...[]byte) []byte {
	return nested(unix.NFTA_LIST_ELEM, netfilter.StringAttribute(unix.NFTA_EXPR_NAME, name), nested(unix.NFTA_EXPR_DATA, attributes...))
}

func register(word int) uint32 { return uint32(unix.NFT_REG32_00 + word) }

// meta loads metadata of the packet into a register.
func meta(key uint32, to int) []byte {
	return expression("meta", be32(unix.NFTA_META_KEY, key), be32(unix.NFTA_META_DREG, register(to)))
}

// ct loads metadata of the packet's connection into a register. A packet without a connection does not match the rule.
func ct(key uint32, to int) []byte {
	return expression("ct", be32(unix.NFTA_CT_KEY, key), be32(unix.NFTA_CT_DREG, register(to)))
}

// field loads bytes of a header into a register.
func field(base uint32, f byteRange, to int) []byte {
	return expression("payload", be32(unix.NFTA_PAYLOAD_DREG, register(to)), be32(unix.NFTA_PAYLOAD_BASE, base),
		be32(unix.NFTA_PAYLOAD_OFFSET, f.offset), be32(unix.NFTA_PAYLOAD_LEN, f.length))
}

type byteRange struct{ offset, length uint32 }

// rt loads the next hop of the packet's route into a register. A packet without a route does not match the rule.
func rt(key uint32, to int) []byte {
	return expression("rt", be32(unix.NFTA_RT_KEY, key), be32(unix.NFTA_RT_DREG, register(to)))
}

// equals matches when the first register has the value.
func equals(value []byte) []byte { return compare(0, unix.NFT_CMP_EQ, value) }

// compare matches when the register and the value, which are compared as numbers in network byte order, are in that order.
func compare(word int, operation uint32, value []byte) []byte {
	return expression("cmp", be32(unix.NFTA_CMP_SREG, register(word)), be32(unix.NFTA_CMP_OP, operation),
		nested(unix.NFTA_CMP_DATA, netfilter.Attribute(unix.NFTA_DATA_VALUE, value)))
}

// inSet matches when the set has the key that begins at the first register.
func inSet(set set) []byte {
	return expression("lookup", netfilter.StringAttribute(unix.NFTA_LOOKUP_SET, set.name), be32(unix.NFTA_LOOKUP_SET_ID, set.id),
		be32(unix.NFTA_LOOKUP_SREG, register(0)))
}

// load loads a constant into a register.
func load(word int, value uint32) []byte {
	return expression("immediate", be32(unix.NFTA_IMMEDIATE_DREG, register(word)),
		nested(unix.NFTA_IMMEDIATE_DATA, netfilter.Attribute(unix.NFTA_DATA_VALUE, binary.NativeEndian.AppendUint32(nil, value))))
}

// addToSet adds the key that begins at the first register to the set.
func addToSet(set set) []byte {
	return expression("dynset", netfilter.StringAttribute(unix.NFTA_DYNSET_SET_NAME, set.name), be32(unix.NFTA_DYNSET_SET_ID, set.id),
		be32(unix.NFTA_DYNSET_OP, unix.NFT_DYNSET_OP_ADD), be32(unix.NFTA_DYNSET_SREG_KEY, register(0)))
}

// fromMap loads the mark that the map has for the key which begins at the first register. A packet without one does not match
// the rule.
func fromMap(set set, to int) []byte {
	return expression("lookup", netfilter.StringAttribute(unix.NFTA_LOOKUP_SET, set.name), be32(unix.NFTA_LOOKUP_SET_ID, set.id),
		be32(unix.NFTA_LOOKUP_SREG, register(0)), be32(unix.NFTA_LOOKUP_DREG, register(to)))
}

// addToMap adds the key that begins at the first register to the map, with the mark of another register.
func addToMap(set set, from int) []byte {
	return expression("dynset", netfilter.StringAttribute(unix.NFTA_DYNSET_SET_NAME, set.name), be32(unix.NFTA_DYNSET_SET_ID, set.id),
		be32(unix.NFTA_DYNSET_OP, unix.NFT_DYNSET_OP_ADD), be32(unix.NFTA_DYNSET_SREG_KEY, register(0)), be32(unix.NFTA_DYNSET_SREG_DATA, register(from)))
}

// setConnmark sets the mark of the packet's connection.
func setConnmark(from int) []byte {
	return expression("ct", be32(unix.NFTA_CT_KEY, unix.NFT_CT_MARK), be32(unix.NFTA_CT_SREG, register(from)))
}

// and keeps the bits of a register that the mask has.
func and(word int, mask uint32) []byte {
	value := func(kind uint16, n uint32) []byte {
		return nested(kind, netfilter.Attribute(unix.NFTA_DATA_VALUE, binary.NativeEndian.AppendUint32(nil, n)))
	}
	return expression("bitwise", be32(unix.NFTA_BITWISE_SREG, register(word)), be32(unix.NFTA_BITWISE_DREG, register(word)),
		be32(unix.NFTA_BITWISE_LEN, 4), value(unix.NFTA_BITWISE_MASK, mask), value(unix.NFTA_BITWISE_XOR, 0))
}

// jump continues with another chain until that returns.
func jump(chain string) []byte {
	return setVerdict(verdict(unix.NFT_JUMP), netfilter.StringAttribute(unix.NFTA_VERDICT_CHAIN, chain))
}

// returnVerdict returns to the calling chain.
func returnVerdict() []byte { return setVerdict(verdict(unix.NFT_RETURN)) }

// accept ends the traversal of the base chain.
func accept() []byte { return setVerdict(verdict(nfAccept)) }

// goTo continues with another chain and does not return.
func goTo(chain string) []byte {
	return setVerdict(verdict(unix.NFT_GOTO), netfilter.StringAttribute(unix.NFTA_VERDICT_CHAIN, chain))
}

func drop() []byte { return setVerdict(verdict(nfDrop)) }

// NF_DROP and NF_ACCEPT (linux/netfilter.h).
const (
	nfDrop   = 0
	nfAccept = 1
)

func verdict(code int32) []byte { return be32(unix.NFTA_VERDICT_CODE, uint32(code)) }

func setVerdict(parts ...[]byte) []byte {
	return expression("immediate", be32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT),
		nested(unix.NFTA_IMMEDIATE_DATA, nested(unix.NFTA_DATA_VERDICT, parts...)))
}
