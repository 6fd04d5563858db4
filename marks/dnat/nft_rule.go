package dnat

import (
	"net/netip"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// nftRule is a rule of nftables.
type nftRule struct {
	expressions []expression
	sets        map[string]*nftSet
}

type expression struct {
	name string
	data []byte
}

// machine evaluates a rule for a request.
type machine struct {
	*walk
	sets      map[string]*nftSet
	registers [registerBytes]register
	drawn     draw
	holds     match   // of the comparisons so far
	outcome   outcome // of verdicts that may have been reached
	ended     bool
}

// eval implements rule.
func (r *nftRule) eval(w *walk) outcome {
	m := machine{walk: w, sets: r.sets, holds: yes}
	for _, e := range r.expressions {
		m.step(e.name, e.data)
		if m.holds == no || m.ended {
			break
		}
	}
	if m.holds != yes || !m.ended {
		m.outcome |= next
	}
	return m.outcome
}

func (m *machine) step(name string, data []byte) {
	switch name {
	case "meta":
		m.load(data, unix.NFTA_META_DREG, m.meta(netfilter.FindUint32(data, unix.NFTA_META_KEY)))
	case "ct":
		m.load(data, unix.NFTA_CT_DREG, ctField(netfilter.FindUint32(data, unix.NFTA_CT_KEY)))
	case "fib":
		m.load(data, unix.NFTA_FIB_DREG, fibResult(data))
	case "payload":
		m.loadPayload(data)
	case "immediate":
		m.immediate(data)
	case "bitwise":
		m.bitwise(data)
	case "byteorder":
		m.byteorder(data)
	case "cmp":
		m.compareRegister(data)
	case "range":
		m.compareRange(data)
	case "lookup":
		m.lookup(data)
	case "nat":
		m.nat(data)
	case "redir":
		low, high, known := m.ports(data, unix.NFTA_REDIR_REG_PROTO_MIN, unix.NFTA_REDIR_REG_PROTO_MAX)
		m.end(m.translateKnown(netip.Addr{}, netip.Addr{}, low, high, known))
	case "counter", "log", "notrack", "dup", "last":
	case "numgen":
		m.draw(data, numgenDest, numgenModulus, numgenOffset)
	case "hash":
		m.draw(data, hashDest, hashModulus, hashOffset)
	case "rt", "socket", "osf", "exthdr", "xfrm", "tunnel", "inner":
		m.registers = [registerBytes]register{} // one of them has a value that is not known
	case "target":
		m.end(anything | next)
	default: // limit, quota, match, dynset, ...
		m.hold(maybe)
	}
}

// hold records the result of a comparison: the rule goes on only if it holds.
func (m *machine) hold(is match) { m.holds = min(m.holds, is) }

// end records the outcome of a verdict.
func (m *machine) end(o outcome) { m.outcome, m.ended = m.outcome|o, true }

// load sets the register that an attribute names. Behind a value of unknown length everything is unknown.
func (m *machine) load(data []byte, attribute uint16, content []register) {
	at, ok := registerOffset(data, attribute)
	if !ok {
		return // the expression writes the property
	}
	const longest = 16
	if content == nil {
		content = make([]register, longest)
	}
	m.set(at, content)
}

// set writes content to the registers, padded to 4 bytes.
func (m *machine) set(at int, content []register) {
	copy(m.registers[at:], content)
	for i := at + len(content); i%4 != 0 && i < registerBytes; i++ {
		m.registers[i] = register{0, 0xff}
	}
}

// field returns the registers from the one that an attribute names.
func (m *machine) field(data []byte, attribute uint16) []register {
	at, ok := registerOffset(data, attribute)
	if !ok {
		return nil
	}
	return m.registers[at:]
}

func (m *machine) immediate(data []byte) {
	value := nlattr.Find(data, unix.NFTA_IMMEDIATE_DATA)
	if verdict := nlattr.Find(value, unix.NFTA_DATA_VERDICT); verdict != nil {
		m.verdict(verdict)
		return
	}
	m.load(data, unix.NFTA_IMMEDIATE_DREG, knownBytes(nlattr.Find(value, unix.NFTA_DATA_VALUE)...))
}

// Verdicts (linux/netfilter.h).
const (
	verdictDrop   = 0
	verdictAccept = 1
)

// verdict ends the rule with the verdict (NFTA_VERDICT_*).
func (m *machine) verdict(data []byte) {
	if o, ends := m.verdictOutcome(data); ends {
		m.end(o)
	}
}

// verdictOutcome returns the outcome of a verdict. ends is false for one that continues the rule.
func (m *machine) verdictOutcome(data []byte) (o outcome, ends bool) {
	chain := netfilter.FindString(data, unix.NFTA_VERDICT_CHAIN)
	switch int32(netfilter.FindUint32(data, unix.NFTA_VERDICT_CODE)) {
	case verdictDrop:
		return taken, true
	case verdictAccept:
		return accepts, true
	case unix.NFT_RETURN:
		return returns, true
	case unix.NFT_JUMP:
		return m.jump(chain), true
	case unix.NFT_GOTO:
		return m.traverse(chain), true
	case unix.NFT_CONTINUE:
		return next, false
	case unix.NFT_BREAK:
		return next, true
	}
	return anything, true
}

func (m *machine) compareRegister(data []byte) {
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	field := m.field(data, unix.NFTA_CMP_SREG)
	switch netfilter.FindUint32(data, unix.NFTA_CMP_OP) {
	case unix.NFT_CMP_EQ:
		m.hold(equalTo(field, value))
	case unix.NFT_CMP_NEQ:
		m.hold(equalTo(field, value).not())
	case unix.NFT_CMP_LT:
		m.hold(compare(field, value, func(c int) bool { return c < 0 }))
	case unix.NFT_CMP_LTE:
		m.hold(compare(field, value, func(c int) bool { return c <= 0 }))
	case unix.NFT_CMP_GT:
		m.hold(compare(field, value, func(c int) bool { return c > 0 }))
	case unix.NFT_CMP_GTE:
		m.hold(compare(field, value, func(c int) bool { return c >= 0 }))
	default:
		m.hold(maybe)
	}
}

func (m *machine) compareRange(data []byte) {
	field := m.field(data, unix.NFTA_RANGE_SREG)
	bound := func(attribute uint16) []byte {
		return nlattr.Find(nlattr.Find(data, attribute), unix.NFTA_DATA_VALUE)
	}
	is := min(compare(field, bound(unix.NFTA_RANGE_FROM_DATA), func(c int) bool { return c >= 0 }),
		compare(field, bound(unix.NFTA_RANGE_TO_DATA), func(c int) bool { return c <= 0 }))
	if netfilter.FindUint32(data, unix.NFTA_RANGE_OP) == unix.NFT_RANGE_NEQ {
		is = is.not()
	}
	m.hold(is)
}

// bitwise evaluates register & mask ^ xor. The result of other operations is unknown.
func (m *machine) bitwise(data []byte) {
	mask := nlattr.Find(nlattr.Find(data, unix.NFTA_BITWISE_MASK), unix.NFTA_DATA_VALUE)
	xor := nlattr.Find(nlattr.Find(data, unix.NFTA_BITWISE_XOR), unix.NFTA_DATA_VALUE)
	field := m.field(data, unix.NFTA_BITWISE_SREG)
	if len(mask) == 0 || len(mask) != len(xor) || len(field) < len(mask) {
		m.load(data, unix.NFTA_BITWISE_DREG, nil)
		return
	}
	result := make([]register, len(mask))
	for i := range mask {
		result[i] = register{field[i].value&mask[i] ^ xor[i], field[i].known | ^mask[i]}
	}
	m.load(data, unix.NFTA_BITWISE_DREG, result)
}

func (m *machine) byteorder(data []byte) {
	length, size := int(netfilter.FindUint32(data, unix.NFTA_BYTEORDER_LEN)), int(netfilter.FindUint32(data, unix.NFTA_BYTEORDER_SIZE))
	field := bytesRange(m.field(data, unix.NFTA_BYTEORDER_SREG), length)
	if littleEndian {
		swapBytes(field, size)
	}
	m.load(data, unix.NFTA_BYTEORDER_DREG, field)
	if at, _ := registerOffset(data, unix.NFTA_BYTEORDER_SREG); m.drawn.count > 0 && at == m.drawn.at {
		m.drawn.at, _ = registerOffset(data, unix.NFTA_BYTEORDER_DREG)
		m.drawn.swapped = littleEndian
	}
}

// bytesRange returns a copy of the first bytes.
func bytesRange(field []register, length int) []register {
	return append([]register(nil), field[:min(length, len(field))]...)
}
