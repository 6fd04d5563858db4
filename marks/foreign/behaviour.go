package foreign

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Behaviour is what a rule of nftables does to the packets that it matches, and how it selects them.
type Behaviour struct {
	Text      string   // in the syntax of nft(8), as far as it is decoded
	Drops     bool     // it drops or rejects
	Accepts   bool     // it ends the traversal of the chain's hook
	Returns   bool     // it ends the traversal of its chain
	Chain     string   // the chain that it jumps or goes to
	Forwards  bool     // it sends packets by another link (fwd)
	Link      int      // the index of that link; 0: unknown
	Rewrites  []string // the fields that it overwrites: ip saddr
	ByAddress bool     // it selects by addresses, or in a way that is not decoded
	LinksOnly bool     // it selects by links and protocols of the network layer only
	Counts    bool     // it counts packets of established connections and does nothing else, or does it when there were many
	PortSets  []PortSet
	// VerdictMap is the map by which it decides; mapped are the chains that this leads to, once it was read.
	VerdictMap string
	mapped     []jump
}

// ReadBehaviour decodes a rule. attributes are those of the rule, family is that of its table (NFPROTO_*). linkName returns the
// name of a link.
func ReadBehaviour(family uint8, attributes []byte, linkName func(int) string) Behaviour {
	d := ruleDecoder{registers: map[uint32]loaded{}, linkName: linkName, rule: Behaviour{LinksOnly: true}, family: family}
	for name, data := range netfilter.Expressions(attributes) {
		d.decode(name, data)
		d.noteCounting(name, data)
	}
	d.rule.Text, d.rule.Counts = strings.Join(d.terms, " "), d.counts()
	return d.rule
}

// ruleDecoder decodes a rule expression by expression.
type ruleDecoder struct {
	rule      Behaviour
	family    uint8
	registers map[uint32]loaded // by 32-bit register
	order     []uint32          // the registers, as they were loaded
	linkName  func(int) string
	terms     []string
	transport string // the protocol that was compared: tcp
	limits    bool   // it compares a rate
	// endsWithCounter reports that the expression decoded last is a counter.
	endsWithCounter bool
}

// loaded is the content of a register: a field of the packet, or a constant.
type loaded struct {
	field fieldType
	data  []byte // of a constant
	mask  []byte // the bits of the field that are compared, or kept; nil: all
	xor   []byte // what the field is changed to in the other bits, and inverted in those
}

func (d *ruleDecoder) add(format string, args ...any) {
	d.terms = append(d.terms, fmt.Sprintf(format, args...))
}

func (d *ruleDecoder) decode(name string, data []byte) {
	switch name {
	case "meta":
		d.decodeMeta(data)
	case "ct":
		d.decodeCt(data)
	case "payload":
		d.decodePayload(data)
	case "immediate":
		d.decodeImmediate(data)
	case "bitwise":
		d.decodeBitwise(data)
	case "cmp":
		d.decodeCompare(data)
	case "range":
		d.decodeRange(data)
	case "lookup":
		d.decodeLookup(data)
	case netfilter.CounterExpression:
	default:
		d.decodeStatement(name, data)
	}
}

// set records that a register has the content, or that a statement writes the register to the field.
func (d *ruleDecoder) set(register uint32, l loaded) {
	d.registers[register] = l
	d.order = append(slices.DeleteFunc(d.order, func(r uint32) bool { return r == register }), register)
}

// take returns the content of the register.
func (d *ruleDecoder) take(data []byte, kind uint16) loaded {
	register := registerOf(data, kind)
	d.order = slices.DeleteFunc(d.order, func(r uint32) bool { return r == register })
	return d.registers[register]
}

func (d *ruleDecoder) decodeMeta(data []byte) {
	d.decodeKeyed(data, "meta", metaFields, unix.NFTA_META_KEY, unix.NFTA_META_DREG, unix.NFTA_META_SREG)
}

func (d *ruleDecoder) decodeCt(data []byte) {
	d.decodeKeyed(data, "ct", ctFields, unix.NFTA_CT_KEY, unix.NFTA_CT_DREG, unix.NFTA_CT_SREG)
}

// decodeKeyed decodes an expression that loads the field of a key into a register, or writes it from one.
func (d *ruleDecoder) decodeKeyed(data []byte, name string, fields map[uint32]fieldType, key, destination, source uint16) {
	f, known := fields[netfilter.FindUint32(data, key)]
	if !known {
		f = fieldType{name: fmt.Sprintf("%s %d", name, netfilter.FindUint32(data, key)), kind: kindOther}
	}
	if to := registerOf(data, destination); to != 0 {
		d.set(to, loaded{field: f})
		return
	}
	d.add("%s set %s", f.name, d.valueText(f, d.take(data, source)))
}

func (d *ruleDecoder) decodePayload(data []byte) {
	base, offset, length := netfilter.FindUint32(data, unix.NFTA_PAYLOAD_BASE), netfilter.FindUint32(data, unix.NFTA_PAYLOAD_OFFSET), netfilter.FindUint32(data, unix.NFTA_PAYLOAD_LEN)
	f := payloadField(d.family, d.transport, base, offset, length)
	if implied := "meta l4proto " + d.transport; len(d.terms) > 0 && d.terms[len(d.terms)-1] == implied && strings.HasPrefix(f.name, d.transport+" ") {
		d.terms = d.terms[:len(d.terms)-1]
	}
	if to := registerOf(data, unix.NFTA_PAYLOAD_DREG); to != 0 {
		d.set(to, loaded{field: f})
		return
	}
	d.rule.Rewrites = append(d.rule.Rewrites, f.name)
	d.add("%s set %s", f.name, d.valueText(f, d.take(data, unix.NFTA_PAYLOAD_SREG)))
}

func (d *ruleDecoder) decodeImmediate(data []byte) {
	value := nlattr.Find(data, unix.NFTA_IMMEDIATE_DATA)
	if verdict := nlattr.Find(value, unix.NFTA_DATA_VERDICT); verdict != nil {
		d.decodeVerdict(verdict)
		return
	}
	d.set(registerOf(data, unix.NFTA_IMMEDIATE_DREG), loaded{data: nlattr.Find(value, unix.NFTA_DATA_VALUE)})
}

// Verdicts (linux/netfilter.h).
const (
	verdictDrop   = 0
	verdictAccept = 1
)

func (d *ruleDecoder) decodeVerdict(verdict []byte) {
	chain := netfilter.FindString(verdict, unix.NFTA_VERDICT_CHAIN)
	switch code := int32(netfilter.FindUint32(verdict, unix.NFTA_VERDICT_CODE)); code {
	case verdictDrop:
		d.rule.Drops = true
		d.add("drop")
	case verdictAccept:
		d.rule.Accepts = true
		d.add("accept")
	case unix.NFT_RETURN:
		d.rule.Returns = true
		d.add("return")
	case unix.NFT_JUMP, unix.NFT_GOTO:
		d.rule.Chain = chain
		d.add("%s %s", map[int32]string{unix.NFT_JUMP: "jump", unix.NFT_GOTO: "goto"}[code], chain)
	}
}

func (d *ruleDecoder) decodeBitwise(data []byte) {
	l := d.take(data, unix.NFTA_BITWISE_SREG)
	if mask := nlattr.Find(nlattr.Find(data, unix.NFTA_BITWISE_MASK), unix.NFTA_DATA_VALUE); mask != nil {
		l.mask, l.xor = mask, nlattr.Find(nlattr.Find(data, unix.NFTA_BITWISE_XOR), unix.NFTA_DATA_VALUE)
	}
	d.set(registerOf(data, unix.NFTA_BITWISE_DREG), l)
}

func (d *ruleDecoder) decodeCompare(data []byte) {
	l := d.take(data, unix.NFTA_CMP_SREG)
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	operation := map[uint32]string{unix.NFT_CMP_NEQ: "!= ", unix.NFT_CMP_LT: "< ", unix.NFT_CMP_LTE: "<= ", unix.NFT_CMP_GT: "> ", unix.NFT_CMP_GTE: ">= "}[netfilter.FindUint32(data, unix.NFTA_CMP_OP)]
	d.selectBy(l.field)
	text := l.text(value, d.linkName)
	if l.field.kind == kindTransport && operation == "" {
		d.transport = text
	}
	if d.endsRange(l.field.name, operation, text) {
		return
	}
	d.add("%s", strings.TrimSpace(l.field.name+" "+operation+text))
}

// endsRange completes a range whose lower bound is the term before, and reports whether it did.
func (d *ruleDecoder) endsRange(field, operation, text string) bool {
	if len(d.terms) == 0 || operation != "<= " {
		return false
	}
	last := &d.terms[len(d.terms)-1]
	lower, isLower := strings.CutPrefix(*last, field+" >= ")
	if isLower {
		*last = fmt.Sprintf("%s %s-%s", field, lower, text)
	}
	return isLower
}

func (d *ruleDecoder) decodeRange(data []byte) {
	l := d.take(data, unix.NFTA_RANGE_SREG)
	bound := func(kind uint16) string {
		return l.text(nlattr.Find(nlattr.Find(data, kind), unix.NFTA_DATA_VALUE), d.linkName)
	}
	d.selectBy(l.field)
	not := map[bool]string{true: "!= "}[netfilter.FindUint32(data, unix.NFTA_RANGE_OP) == unix.NFT_RANGE_NEQ]
	d.add("%s %s%s-%s", l.field.name, not, bound(unix.NFTA_RANGE_FROM_DATA), bound(unix.NFTA_RANGE_TO_DATA))
}

// decodeLookup decodes a comparison with a set, whose key may be a concatenation of fields.
func (d *ruleDecoder) decodeLookup(data []byte) {
	first := registerOf(data, unix.NFTA_LOOKUP_SREG)
	var names []string
	for _, register := range slices.Clone(d.order) {
		if register >= first {
			f := d.registers[register].field
			d.selectBy(f)
			names = append(names, f.name)
			d.addPortSet(data, f, int(register-first))
		}
	}
	d.order = nil
	name := "@" + netfilter.FindString(data, unix.NFTA_LOOKUP_SET)
	if strings.HasPrefix(name, "@__") {
		name = "{ ... }" // without a name of its own
	}
	if netfilter.FindUint32(data, unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0 {
		name = "!= " + name
	}
	if nlattr.Find(data, unix.NFTA_LOOKUP_DREG) != nil {
		name = "map " + name
		if registerOf(data, unix.NFTA_LOOKUP_DREG) == unix.NFT_REG_VERDICT {
			name = "v" + name
			d.rule.VerdictMap = netfilter.FindString(data, unix.NFTA_LOOKUP_SET)
		}
		d.set(registerOf(data, unix.NFTA_LOOKUP_DREG), loaded{field: fieldType{name: name, kind: kindOther}})
	}
	d.add("%s %s", strings.Join(names, " . "), name)
}

// selectBy records that the rule selects packets by the field.
func (d *ruleDecoder) selectBy(f fieldType) {
	d.rule.ByAddress = d.rule.ByAddress || f.kind == kindAddress || f.kind == kindOther
	d.rule.LinksOnly = d.rule.LinksOnly && (f.kind == kindLinkName || f.kind == kindLinkIndex || f.kind == kindNetwork)
}

// valueText returns the content that is written to the field.
func (d *ruleDecoder) valueText(f fieldType, l loaded) string {
	switch {
	case l.data != nil:
		return loaded{field: f}.text(l.data, d.linkName)
	case l.field.kind == kindMark && len(l.mask) == 4 && len(l.xor) == 4:
		mask, xor := binary.NativeEndian.Uint32(l.mask), binary.NativeEndian.Uint32(l.xor)
		return fmt.Sprintf("%s & %#x | %#x", l.field.name, mask&^xor, xor)
	case l.mask != nil:
		return fmt.Sprintf("%s & %#x", l.field.name, l.mask)
	}
	return l.field.name
}
