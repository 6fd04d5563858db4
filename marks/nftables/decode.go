package nftables

import (
	"bytes"
	"encoding/binary"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// decodeRule decodes the expressions of a rule that encodeRule or nft(8) has made of a rule of replypath, and the name of its
// counter. ok is false for any other rule.
func decodeRule(expressions []byte, ipv6 bool) (r marks.Rule, counter string, ok bool) {
	d := decoder{ipv6: ipv6, seen: map[source]bool{}}
	for _, e := range nlattr.All(expressions) {
		if !d.decode(netfilter.FindString(e, unix.NFTA_EXPR_NAME), nlattr.Find(e, unix.NFTA_EXPR_DATA)) {
			return r, "", false
		}
	}
	if d.held.source != (source{}) || !d.finish() {
		return r, "", false
	}
	return d.rule, d.counter, true
}

// source is a property that an expression loads or sets: an expression with its key (enum nft_meta_keys, enum nft_ct_keys).
type source struct {
	expression string
	key        uint32
}

var (
	metaMark     = source{"meta", unix.NFT_META_MARK}
	metaIifname  = source{"meta", unix.NFT_META_IIFNAME}
	metaOifname  = source{"meta", unix.NFT_META_OIFNAME}
	metaIifgroup = source{"meta", unix.NFT_META_IIFGROUP}
	metaIiftype  = source{"meta", unix.NFT_META_IIFTYPE}
	metaOifgroup = source{"meta", unix.NFT_META_OIFGROUP}
	metaFamily   = source{"meta", unix.NFT_META_NFPROTO}
	metaProto    = source{"meta", unix.NFT_META_L4PROTO}
	etherSaddr   = source{"payload", fieldKey(unix.NFT_PAYLOAD_LL_HEADER, etherSource)}
	portField    = source{"payload", fieldKey(unix.NFT_PAYLOAD_TRANSPORT_HEADER, destinationPort)}
	ctMark       = source{"ct", unix.NFT_CT_MARK}
	ctDirection  = source{"ct", unix.NFT_CT_DIRECTION}
	ctStatus     = source{"ct", unix.NFT_CT_STATUS}
	ctState      = source{"ct", unix.NFT_CT_STATE}
	routeIPsec   = source{"rt", nftnl.RouteIPsec}
	senderHash   = source{"hash", unix.NFT_HASH_JENKINS}
	constant     = source{"immediate", 0}
)

// held is the content of the register: all rules use one. The mask of a property that was not masked is nil.
type held struct {
	source
	register  uint32
	mask, xor []byte
}

// write is an assignment to a mark.
type write struct {
	to, from  source
	mask, xor uint32
}

// decoder decodes a rule expression by expression.
type decoder struct {
	ipv6    bool
	rule    marks.Rule
	counter string
	held    held
	seen    map[source]bool // the properties that were compared
	writes  []write
	loaded  map[uint32][]byte // constants by register
	proxied bool              // the action gives the packet to a socket
	ended   bool              // a verdict, a map or a counter of the rule: no expression follows
}

func (d *decoder) decode(name string, data []byte) bool {
	if d.ended {
		return false
	}
	switch name {
	case "meta", "ct": // their attributes have the same numbers, except for the source register
		return d.loadOrSet(name, data)
	case "rt":
		return d.loadRoute(data)
	case "payload":
		return d.loadField(data)
	case "bitwise":
		return d.mask(data)
	case "cmp":
		return d.compare(data)
	case "immediate":
		return d.immediate(data)
	case "lookup":
		return d.lookUp(data)
	case "fib":
		return d.loadAddrType(data)
	case "hash":
		return d.hash(data)
	case "tproxy":
		return d.tproxy(data)
	case "masq":
		d.ended = true
		d.rule.Action = marks.Action{Kind: marks.Masquerade}
		return len(data) == 0 && len(d.writes) == 0 && d.counter == ""
	case "objref":
		d.counter = netfilter.FindString(data, unix.NFTA_OBJREF_IMM_NAME)
		return d.counter != "" && len(d.writes) == 0 && netfilter.FindUint32(data, unix.NFTA_OBJREF_IMM_TYPE) == unix.NFT_OBJECT_COUNTER
	case netfilter.CounterExpression:
		d.ended = true
		d.rule.Action = marks.Action{Kind: marks.Count}
		return len(d.writes) == 0 && d.counter == ""
	}
	return false
}

func (d *decoder) loadOrSet(name string, data []byte) bool {
	from := source{name, netfilter.FindUint32(data, unix.NFTA_META_KEY)}
	if to := netfilter.FindUint32(data, unix.NFTA_META_DREG); to != 0 {
		if d.held.source != (source{}) || name == "ct" && !d.directionFits(data, from) {
			return false
		}
		d.held = held{source: from, register: to}
		return true
	}
	sreg := uint16(unix.NFTA_META_SREG)
	if name == "ct" {
		sreg = unix.NFTA_CT_SREG
	}
	return d.set(from, netfilter.FindUint32(data, sreg))
}

// directionFits reports whether an expression ct names the direction where it loads an address, and none elsewhere.
func (d *decoder) directionFits(data []byte, from source) bool {
	direction := nlattr.Find(data, unix.NFTA_CT_DIRECTION)
	switch from.key {
	case replyDestination(d.ipv6):
		return len(direction) == 1 && direction[0] == directionReply
	case originalSource(d.ipv6):
		return len(direction) == 1 && direction[0] == directionOriginal
	}
	return direction == nil
}

// set decodes an assignment of the register to a mark.
func (d *decoder) set(to source, register uint32) bool {
	h := d.held
	d.held = held{}
	if to != metaMark && to != ctMark || register == 0 || register != h.register {
		return false
	}
	w := write{to: to, from: h.source, mask: uint32(marks.FullMask)}
	if h.mask != nil {
		w.mask, w.xor = nlattr.Value(h.mask).Uint32(), nlattr.Value(h.xor).Uint32()
	}
	d.writes = append(d.writes, w)
	return true
}

// bitwiseOp is NFTA_BITWISE_OP. Its value 0 is mask and xor.
const bitwiseOp = 6

func (d *decoder) mask(data []byte) bool {
	value := func(kind uint16) []byte { return nlattr.Find(nlattr.Find(data, kind), unix.NFTA_DATA_VALUE) }
	mask, xor := value(unix.NFTA_BITWISE_MASK), value(unix.NFTA_BITWISE_XOR)
	if d.held.register == 0 || d.held.mask != nil || len(mask) == 0 || len(mask) != len(xor) || netfilter.FindUint32(data, bitwiseOp) != 0 ||
		netfilter.FindUint32(data, unix.NFTA_BITWISE_SREG) != d.held.register || netfilter.FindUint32(data, unix.NFTA_BITWISE_DREG) != d.held.register {
		return false
	}
	d.held.mask, d.held.xor = mask, xor
	return true
}

// compare decodes a comparison, which consumes the register.
func (d *decoder) compare(data []byte) bool {
	h := d.held
	d.held = held{}
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	operation := netfilter.FindUint32(data, unix.NFTA_CMP_OP)
	if h.register == 0 || netfilter.FindUint32(data, unix.NFTA_CMP_SREG) != h.register || len(d.writes) > 0 || d.proxied ||
		bytes.ContainsFunc(h.xor, func(r rune) bool { return r != 0 }) {
		return false
	}
	if h.source == portField {
		return h.mask == nil && d.comparePort(h, operation, value)
	}
	equal := operation == unix.NFT_CMP_EQ
	if d.seen[h.source] || !equal && operation != unix.NFT_CMP_NEQ {
		return false
	}
	d.seen[h.source] = true
	switch h.source.expression {
	case "meta":
		return d.compareMeta(h, value, equal)
	case "ct":
		return d.compareCt(h, value, equal)
	case routeIPsec.expression:
		d.rule.IPsec = true
		return h.source == routeIPsec && h.mask == nil && equal && bytes.Equal(value, []byte{1})
	}
	return d.comparePacket(h, value, equal)
}

// compareMeta decodes the comparison of metadata of the packet.
func (d *decoder) compareMeta(h held, value nlattr.Value, equal bool) bool {
	if h.source == metaMark {
		return compareMark(&d.rule.Fwmark, h.mask, value, equal)
	}
	if h.mask != nil {
		return false
	}
	switch h.source {
	case metaIifname:
		d.rule.In, d.rule.NotIn = linkName(value), !equal
		return d.rule.In != ""
	case metaOifname:
		d.rule.Out = linkName(value)
		return d.rule.Out != "" && equal
	case metaIifgroup:
		d.rule.SrcGroup, d.rule.NotSrcGroup = value.Uint32(), !equal
		return d.rule.SrcGroup != 0 && len(value) == 4
	case metaOifgroup:
		d.rule.DstGroup = value.Uint32()
		return d.rule.DstGroup != 0 && equal && len(value) == 4
	case metaIiftype:
		return equal && bytes.Equal(value, binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER))
	case metaFamily:
		return equal && bytes.Equal(value, []byte{nftnl.FamilyNumber(d.ipv6)})
	case metaProto:
		return equal && d.compareProto(value)
	}
	return false
}

// compareCt decodes the comparison of metadata of the packet's connection.
func (d *decoder) compareCt(h held, value nlattr.Value, equal bool) bool {
	switch h.source {
	case ctMark:
		return compareMark(&d.rule.Ctmark, h.mask, value, equal)
	case ctDirection:
		return d.compareDirection(value) && h.mask == nil && equal
	case ctStatus:
		return len(h.mask) == 4 && len(value) == 4 && value.Uint32() == 0 && d.compareStatus(nlattr.Value(h.mask).Uint32(), equal)
	case ctState:
		return len(value) == 4 && d.compareState(h.mask, value.Uint32(), equal)
	case source{"ct", replyDestination(d.ipv6)}:
		return equal && d.compareNetwork(&d.rule.ReplyTo, h.mask, value)
	case source{"ct", originalSource(d.ipv6)}:
		return equal && d.compareNetwork(&d.rule.OrigFrom, h.mask, value)
	}
	return false
}

func compareMark(m *marks.MarkMatch, mask []byte, value nlattr.Value, equal bool) bool {
	*m = marks.MarkMatch{Not: !equal, Mark: marks.Mark(value.Uint32()), Mask: marks.FullMask}
	if mask != nil {
		m.Mask = marks.Mask(nlattr.Value(mask).Uint32())
	}
	return len(value) == 4
}

// linkName returns the name of a link that is compared with. A name without its terminating zero is a prefix.
func linkName(value []byte) string {
	name := unix.ByteSliceToString(value)
	if name != "" && len(name) == len(value) {
		return name + "+"
	}
	return name
}

func (d *decoder) compareDirection(value []byte) bool {
	if len(value) != 1 || value[0] > directionReply {
		return false
	}
	d.rule.Dir = [...]string{directionOriginal: "ORIGINAL", directionReply: "REPLY"}[value[0]]
	return true
}
