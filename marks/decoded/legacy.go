package decoded

import (
	"bytes"
	"encoding/binary"
	"errors"

	"replypath/marks"

	"golang.org/x/sys/unix"
)

// ErrMalformed is the error of bytes that are no table.
var ErrMalformed = errors.New("the kernel's table cannot be read")

// layout says where an entry of a table has what: struct ipt_entry, struct ip6t_entry. Counters stand at a multiple of 8.
type layout struct {
	in, out         int  // names of links
	inMask, outMask int  // the bytes of them that count
	flags           int  // one byte
	gotoFlag        byte // the flag for a goto instead of a jump
	selectorSize    int  // how many bytes say which packets the rule takes, the above and others
	target, next    int  // where the target and the next entry begin
	counters, size  int
}

var layouts = map[bool]layout{
	false: {in: 16, out: 32, inMask: 48, outMask: 64, flags: 82, gotoFlag: 1 << 1, selectorSize: 84, target: 88, next: 90, counters: 96, size: 112},
	true:  {in: 64, out: 80, inMask: 96, outMask: 112, flags: 131, gotoFlag: 1 << 2, selectorSize: 136, target: 140, next: 142, counters: 152, size: 168},
}

// What stands before a match's or target's own bytes (struct xt_entry_match): its size, its name, its revision.
const (
	extensionHeaderSize = 32
	extensionNameSize   = 29
)

// What the standard target, which has no name, answers instead of a place in the table (linux/netfilter/x_tables.h).
const verdictReturn = -5

// builtins are the chains of the mangle table by the number of their hook.
var builtins = [...]string{unix.NF_INET_PRE_ROUTING: "PREROUTING", unix.NF_INET_LOCAL_IN: "INPUT", unix.NF_INET_FORWARD: "FORWARD",
	unix.NF_INET_LOCAL_OUT: "OUTPUT", unix.NF_INET_POST_ROUTING: "POSTROUTING"}

// Hooks is where the built-in chains of a table begin, by the number of their hook; -1: there is no such chain.
type Hooks [len(builtins)]int

// Entries calls each with every rule of a table of the legacy backend and where it begins, until each gives false.
func Entries(table []byte, ipv6 bool, visit func(offset int, entry []byte) bool) error {
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

// ClearCounters makes two copies of a table equal when nothing but what was counted differs. It needs not to be a whole one.
func ClearCounters(table []byte, ipv6 bool) {
	counters := layouts[ipv6].counters
	_ = Entries(table, ipv6, func(_ int, entry []byte) bool {
		clear(entry[counters : counters+16])
		return true
	})
}

// Legacy reads a table of the legacy backend. Each chain ends with a rule that is nobody's: a built-in one with its
// policy, one of people's with its return.
func Legacy(table []byte, hooks Hooks, ipv6 bool) (Table, error) {
	g := legacyDecoder{layout: layouts[ipv6], chainStarts: map[int]string{}, table: Table{}}
	for hook, at := range hooks {
		if at >= 0 {
			g.chainStarts[at] = builtins[hook]
		}
	}
	if err := Entries(table, ipv6, g.collectChainStart); err != nil {
		return nil, err
	}
	if err := Entries(table, ipv6, g.addEntry); err != nil {
		return nil, err
	}
	for chain, rules := range g.table {
		if len(rules) == 0 {
			return nil, ErrMalformed
		}
		g.table[chain] = rules[:len(rules)-1]
	}
	return g.table, nil
}

type legacyDecoder struct {
	layout
	chainStarts map[int]string // which chain's first rule stands there
	chain       string         // that the reader is in
	table       Table
}

// collectChainStart finds where the chains of people begin: behind an entry with the target ERROR, which bears the chain's name.
func (g *legacyDecoder) collectChainStart(offset int, entry []byte) bool {
	if e, ok := g.targetOf(entry); ok && e.name == "ERROR" {
		g.chainStarts[offset+len(entry)] = unix.ByteSliceToString(e.info)
	}
	return true
}

func (g *legacyDecoder) addEntry(offset int, entry []byte) bool {
	if name, isStart := g.chainStarts[offset]; isStart {
		g.chain = name
	}
	if e, ok := g.targetOf(entry); ok && e.name == "ERROR" {
		g.chain = "" // the next chain's head, or the table's end
		return true
	}
	g.table[g.chain] = append(g.table[g.chain], g.decodeRule(offset, entry))
	return true
}

func (g *legacyDecoder) targetOf(entry []byte) (e extension, ok bool) {
	at := int(binary.NativeEndian.Uint16(entry[g.target:]))
	if at < g.size || at > len(entry)-extensionHeaderSize {
		return e, false
	}
	return decodeExtension(entry[at:]), true
}

func decodeExtension(b []byte) extension {
	return extension{name: unix.ByteSliceToString(b[2 : 2+extensionNameSize]), revision: b[2+extensionNameSize], info: b[extensionHeaderSize:]}
}

func (g *legacyDecoder) decodeRule(offset int, entry []byte) (r ParsedRule) {
	in, knownIn := decodeLinkName(entry[g.in:], entry[g.inMask:])
	out, knownOut := decodeLinkName(entry[g.out:], entry[g.outMask:])
	r.Complete = knownIn && knownOut && g.selectsOnlyLinks(entry)
	r.In, r.Out = in, out
	e, ok := g.targetOf(entry)
	if !ok {
		return ParsedRule{}
	}
	target := int(binary.NativeEndian.Uint16(entry[g.target:]))
	for matches := entry[g.size:target]; len(matches) > 0; {
		if len(matches) < extensionHeaderSize {
			return ParsedRule{}
		}
		size := int(binary.NativeEndian.Uint16(matches))
		if size < extensionHeaderSize || size > len(matches) {
			return ParsedRule{}
		}
		r.Complete = decodeExtension(matches[:size]).decodeMatch(&r.Rule) && r.Complete
		matches = matches[size:]
	}
	actionKnown := false
	if e.name == "" {
		r.Action, actionKnown = g.verdict(e, offset+len(entry), entry[g.flags]&g.gotoFlag != 0)
	} else if r.Action, actionKnown = e.decodeTarget(); entry[g.flags]&g.gotoFlag != 0 {
		actionKnown = false
	}
	r.Complete = r.Complete && actionKnown
	return r
}

// selectsOnlyLinks reports whether an entry asks for nothing but the links, before its matches.
func (g *legacyDecoder) selectsOnlyLinks(entry []byte) bool {
	for i, b := range entry[:g.selectorSize] {
		link := i >= g.in && i < g.outMask+unix.IFNAMSIZ
		if b != 0 && !link && (i != g.flags || b != g.gotoFlag) {
			return false
		}
	}
	return true
}

// verdict reads the standard target: a place in the table is a chain's beginning, or where the next rule is.
func (g *legacyDecoder) verdict(e extension, next int, isGoto bool) (t marks.Action, ok bool) {
	if len(e.info) < 4 {
		return t, false
	}
	offset := int(int32(e.uint32At(0)))
	chain, isChain := g.chainStarts[offset]
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

// decodeLinkName reads a link's name: the mask has as many bytes as count, the end of the name among them unless only its
// beginning does.
func decodeLinkName(name, mask []byte) (text string, ok bool) {
	name, mask = name[:unix.IFNAMSIZ], mask[:unix.IFNAMSIZ]
	if none := make([]byte, unix.IFNAMSIZ); bytes.Equal(name, none) && bytes.Equal(mask, none) {
		return "", true // as in most rules
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
