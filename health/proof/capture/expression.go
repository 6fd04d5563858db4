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

// equals matches when the register has the value.
func equals(word int, value []byte) []byte { return compare(word, unix.NFT_CMP_EQ, value) }

// compare matches when the register and the value, which are compared as numbers in network byte order, are in that order.
func compare(word int, operation uint32, value []byte) []byte {
	return expression("cmp", be32(unix.NFTA_CMP_SREG, register(word)), be32(unix.NFTA_CMP_OP, operation),
		nested(unix.NFTA_CMP_DATA, netfilter.Attribute(unix.NFTA_DATA_VALUE, value)))
}

// inSet matches when the set has the key that begins at the register.
func inSet(set set, word int) []byte {
	return expression("lookup", netfilter.StringAttribute(unix.NFTA_LOOKUP_SET, set.name), be32(unix.NFTA_LOOKUP_SET_ID, set.id),
		be32(unix.NFTA_LOOKUP_SREG, register(word)))
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

// jump continues with another chain until that returns.
func jump(chain string) []byte {
	return setVerdict(verdict(unix.NFT_JUMP), netfilter.StringAttribute(unix.NFTA_VERDICT_CHAIN, chain))
}

// returnVerdict returns to the calling chain.
func returnVerdict() []byte { return setVerdict(verdict(unix.NFT_RETURN)) }

func drop() []byte { return setVerdict(verdict(nfDrop)) }

// nfDrop is NF_DROP (linux/netfilter.h).
const nfDrop = 0

func verdict(code int32) []byte { return be32(unix.NFTA_VERDICT_CODE, uint32(code)) }

func setVerdict(parts ...[]byte) []byte {
	return expression("immediate", be32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT),
		nested(unix.NFTA_IMMEDIATE_DATA, nested(unix.NFTA_DATA_VERDICT, parts...)))
}
