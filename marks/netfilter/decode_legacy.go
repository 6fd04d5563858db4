package netfilter

import (
	"bytes"
	"encoding/binary"
	"errors"

	"replypath/marks"

	"golang.org/x/sys/unix"
)

// ErrMalformed is returned for bytes that are not a table of the legacy backend.
var ErrMalformed = errors.New("the kernel's table cannot be read")

// layout has the offsets of the fields of an entry: struct ipt_entry, struct ip6t_entry. Counters are aligned to 8
// bytes.
type layout struct {
	in, out         int  // names of links, IFNAMSIZ bytes each
	inMask, outMask int  // masks of those names: only bytes under 0xff are compared
	flags           int  // one byte
	gotoFlag        byte // in flags: goto instead of jump
	proto           int  // two bytes
	protoFlag       byte // in flags: proto is compared
	inverted        int  // one byte
	selectorSize    int  // size of struct ipt_ip, struct ip6t_ip6: all that selects packets before the matches
	target, next    int  // offsets of the target and of the next entry, relative to this entry
	counters, size  int
}

var layouts = map[bool]layout{
	false: {in: 16, out: 32, inMask: 48, outMask: 64, flags: 82, inverted: 83, gotoFlag: 1 << 1, proto: 80, selectorSize: 84, target: 88, next: 90, counters: 96, size: 112},
	true:  {in: 64, out: 80, inMask: 96, outMask: 112, flags: 131, inverted: 132, gotoFlag: 1 << 2, proto: 128, protoFlag: 1 << 0, selectorSize: 136, target: 140, next: 142, counters: 152, size: 168},
}

// invertedIn is IPT_INV_VIA_IN and IP6T_INV_VIA_IN: the entry matches all links but the named one.
const invertedIn = 1

// struct xt_entry_match precedes the info of a match or target: 2 bytes of size, the name, 1 byte of revision.
const (
	extensionHeaderSize = 32
	extensionNameSize   = 29
)

// verdictReturn is XT_RETURN of the standard target, which has no name (linux/netfilter/x_tables.h). Verdicts that are
// not negative are offsets of entries.
const verdictReturn = -5

// builtins has the built-in chains of the mangle table by hook number.
var builtins = [...]string{unix.NF_INET_PRE_ROUTING: "PREROUTING", unix.NF_INET_LOCAL_IN: "INPUT", unix.NF_INET_FORWARD: "FORWARD",
	unix.NF_INET_LOCAL_OUT: "OUTPUT", unix.NF_INET_POST_ROUTING: "POSTROUTING"}

// Hooks has the offset of the first entry of each built-in chain, by hook number; -1 if the table has no such chain.
type Hooks [len(builtins)]int

// visitEntries calls visit with each entry of a table and its offset, until visit returns false.
func visitEntries(table []byte, ipv6 bool, visit func(offset int, entry []byte) bool) error {
	l := layouts[ipv6]
	for offset := 0; offset < len(table); {
		rest := table[offset:]
		if len(rest) < l.size {
			return ErrMalformed
		}
		next := int(binary.NativeEndian.Uint16(rest[l.next:]))
		if next < l.size || next > len(rest) {
			return ErrMalformed
		}
		if !visit(offset, rest[:next]) {
			return nil
		}
		offset += next
	}
	return nil
}

// ClearCounters sets the counters of all entries to zero, so that tables with the same rules are equal. It stops at the
// first malformed entry.
func ClearCounters(table []byte, ipv6 bool) {
	counters := layouts[ipv6].counters
	_ = visitEntries(table, ipv6, func(_ int, entry []byte) bool {
		clear(entry[counters : counters+16])
		return true
	})
}

// DecodeLegacy decodes a table of the legacy backend. The last rule of each chain is implicit and left out: the policy
// of a built-in chain, the return of a user-defined one.
func DecodeLegacy(table []byte, hooks Hooks, ipv6 bool) (Table, error) {
	d := legacyDecoder{ipv6: ipv6, layout: layouts[ipv6], chainStarts: map[int]string{}, table: Table{}}
	for hook, at := range hooks {
		if at >= 0 {
			d.chainStarts[at] = builtins[hook]
		}
	}
	if err := visitEntries(table, ipv6, d.collectChainStart); err != nil {
		return nil, err
	}
	if err := visitEntries(table, ipv6, d.addEntry); err != nil {
		return nil, err
	}
	for chain, rules := range d.table {
		if len(rules) == 0 {
			return nil, ErrMalformed
		}
		d.table[chain] = rules[:len(rules)-1]
	}
	return d.table, nil
}

type legacyDecoder struct {
	layout
	ipv6        bool
	chainStarts map[int]string // names of chains by the offset of their first rule
	chain       string         // the current one
	table       Table
}

// collectChainStart records a user-defined chain: it begins after an entry with the target ERROR, which holds its name.
func (d *legacyDecoder) collectChainStart(offset int, entry []byte) bool {
	if e, ok := d.targetOf(entry); ok && e.name == "ERROR" {
		d.chainStarts[offset+len(entry)] = unix.ByteSliceToString(e.info)
	}
	return true
}

// addEntry decodes one entry into its chain.
func (d *legacyDecoder) addEntry(offset int, entry []byte) bool {
	if name, isStart := d.chainStarts[offset]; isStart {
		d.chain = name
	}
	if e, ok := d.targetOf(entry); ok && e.name == "ERROR" {
		d.chain = "" // the head of the next chain, or the end of the table
		return true
	}
	d.table[d.chain] = append(d.table[d.chain], d.decodeRule(offset, entry))
	return true
}

func (d *legacyDecoder) targetOf(entry []byte) (e extension, ok bool) {
	at := int(binary.NativeEndian.Uint16(entry[d.target:]))
	if at < d.size || at > len(entry)-extensionHeaderSize {
		return e, false
	}
	return decodeExtension(entry[at:]), true
}

func decodeExtension(b []byte) extension {
	return extension{name: unix.ByteSliceToString(b[2 : 2+extensionNameSize]), revision: b[2+extensionNameSize], info: b[extensionHeaderSize:]}
}

func (d *legacyDecoder) decodeRule(offset int, entry []byte) (r ParsedRule) {
	in, knownIn := decodeLinkName(entry[d.in:], entry[d.inMask:])
	out, knownOut := decodeLinkName(entry[d.out:], entry[d.outMask:])
	r.Packet.SrcBit, r.Packet.Proto = d.sourceBit(entry), d.protocol(entry)
	r.Complete = knownIn && knownOut && d.selectsOnlyLinks(entry, r.Packet)
	r.In, r.Out, r.NotIn = in, out, entry[d.inverted]&invertedIn != 0
	r.Complete = r.Complete && (r.In != "" || !r.NotIn)
	e, ok := d.targetOf(entry)
	if !ok {
		return ParsedRule{}
	}
	target := int(binary.NativeEndian.Uint16(entry[d.target:]))
	for matches := entry[d.size:target]; len(matches) > 0; {
		if len(matches) < extensionHeaderSize {
			return ParsedRule{}
		}
		size := int(binary.NativeEndian.Uint16(matches))
		if size < extensionHeaderSize || size > len(matches) {
			return ParsedRule{}
		}
		r.Complete = decodeExtension(matches[:size]).decodeMatch(&r.Rule, d.ipv6) && r.Complete
		matches = matches[size:]
	}
	actionKnown := false
	if e.name == "" {
		r.Action, actionKnown = d.verdict(e, offset+len(entry), entry[d.flags]&d.gotoFlag != 0)
	} else if r.Action, actionKnown = e.decodeTarget(); entry[d.flags]&d.gotoFlag != 0 {
		actionKnown = false
	}
	r.Complete = r.Complete && actionKnown
	return r
}

// selectsOnlyLinks reports whether an entry selects by no property but links, apart from its matches and what was decoded of the packet: a
// bit of its source, and its protocol.
func (d *legacyDecoder) selectsOnlyLinks(entry []byte, known marks.PacketMatch) bool {
	flags := d.gotoFlag
	if known.Proto != "" {
		flags |= d.protoFlag
	}
	for i, b := range entry[:d.selectorSize] {
		decoded := i >= d.in && i < d.outMask+unix.IFNAMSIZ || known.SrcBit != 0 && isSource(i) || known.Proto != "" && (i == d.proto || i == d.proto+1)
		if b != 0 && !decoded && (i != d.flags || b&^flags != 0) && (i != d.inverted || b != invertedIn) {
			return false
		}
	}
	return true
}

// verdict decodes the standard target. An offset is that of a chain's first rule (jump or goto), or of the next rule
// (no action).
func (d *legacyDecoder) verdict(e extension, next int, isGoto bool) (t marks.Action, ok bool) {
	if len(e.info) < 4 {
		return t, false
	}
	offset := int(int32(e.uint32At(0)))
	chain, isChain := d.chainStarts[offset]
	switch {
	case offset == verdictReturn && !isGoto:
		return marks.Action{Kind: marks.Return}, true
	case offset == next && !isGoto:
		return t, true
	case !isChain:
		return t, false
	case isGoto:
		return ownChainAction(marks.Goto, chain)
	}
	return ownChainAction(marks.Jump, chain)
}

// decodeLinkName decodes a link's name. The mask covers the terminating zero unless the name is a prefix.
func decodeLinkName(name, mask []byte) (text string, ok bool) {
	name, mask = name[:unix.IFNAMSIZ], mask[:unix.IFNAMSIZ]
	if none := make([]byte, unix.IFNAMSIZ); bytes.Equal(name, none) && bytes.Equal(mask, none) {
		return "", true // most rules: no allocation
	}
	n := len(mask) - len(bytes.TrimLeft(mask, "\xff"))
	if len(bytes.Trim(mask[n:], "\x00")) > 0 {
		return "", false
	}
	if n == 0 {
		return "", len(bytes.Trim(name, "\x00")) == 0
	}
	if end := n - 1; name[end] == 0 {
		return linkName(string(name[:end]))
	}
	return linkPrefix(string(name[:n]))
}
