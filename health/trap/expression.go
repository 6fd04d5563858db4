package trap

import (
	"encoding/binary"

	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// The expressions of a rule, one after the other. Registers are counted in words of 32 bits from 0; verdict is apart.

func expression(name string, attributes ...[]byte) []byte {
	return nest(unix.NFTA_LIST_ELEM, nfnetlink.Text(unix.NFTA_EXPR_NAME, name), nest(unix.NFTA_EXPR_DATA, attributes...))
}

func register(word int) uint32 { return uint32(unix.NFT_REG32_00 + word) }

// meta loads what the kernel knows of the packet.
func meta(key uint32, to int) []byte {
	return expression("meta", number(unix.NFTA_META_KEY, key), number(unix.NFTA_META_DREG, register(to)))
}

// ct loads what the kernel knows of the packet's connection. A rule ends there for a packet without one.
func ct(key uint32, to int) []byte {
	return expression("ct", number(unix.NFTA_CT_KEY, key), number(unix.NFTA_CT_DREG, register(to)))
}

// field loads bytes of a header.
func field(base uint32, f span, to int) []byte {
	return expression("payload", number(unix.NFTA_PAYLOAD_DREG, register(to)), number(unix.NFTA_PAYLOAD_BASE, base),
		number(unix.NFTA_PAYLOAD_OFFSET, f.offset), number(unix.NFTA_PAYLOAD_LEN, f.length))
}

type span struct{ offset, length uint32 }

// is goes on when the register holds the value.
func is(word int, value []byte) []byte {
	return expression("cmp", number(unix.NFTA_CMP_SREG, register(word)), number(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ),
		nest(unix.NFTA_CMP_DATA, nfnetlink.Attribute(unix.NFTA_DATA_VALUE, value)))
}

// in goes on when the set holds what begins at the register.
func in(set set, word int) []byte {
	return expression("lookup", nfnetlink.Text(unix.NFTA_LOOKUP_SET, set.name), number(unix.NFTA_LOOKUP_SET_ID, set.id),
		number(unix.NFTA_LOOKUP_SREG, register(word)))
}

// load puts a constant into a register.
func load(word int, value uint32) []byte {
	return expression("immediate", number(unix.NFTA_IMMEDIATE_DREG, register(word)),
		nest(unix.NFTA_IMMEDIATE_DATA, nfnetlink.Attribute(unix.NFTA_DATA_VALUE, binary.NativeEndian.AppendUint32(nil, value))))
}

// note adds what begins at the first register to the set.
func note(set set) []byte {
	return expression("dynset", nfnetlink.Text(unix.NFTA_DYNSET_SET_NAME, set.name), number(unix.NFTA_DYNSET_SET_ID, set.id),
		number(unix.NFTA_DYNSET_OP, unix.NFT_DYNSET_OP_ADD), number(unix.NFTA_DYNSET_SREG_KEY, register(0)))
}

// jump goes to another chain, and comes back from its end.
func jump(chain string) []byte {
	return judge(verdict(unix.NFT_JUMP), nfnetlink.Text(unix.NFTA_VERDICT_CHAIN, chain))
}

// leave goes back to the chain that jumped here.
func leave() []byte { return judge(verdict(unix.NFT_RETURN)) }

func drop() []byte { return judge(verdict(nfDrop)) }

// nfDrop is NF_DROP (linux/netfilter.h).
const nfDrop = 0

func verdict(code int32) []byte { return number(unix.NFTA_VERDICT_CODE, uint32(code)) }

func judge(verdict ...[]byte) []byte {
	return expression("immediate", number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT),
		nest(unix.NFTA_IMMEDIATE_DATA, nest(unix.NFTA_DATA_VERDICT, verdict...)))
}
