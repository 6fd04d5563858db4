package decoded

import (
	"bytes"
	"encoding/binary"
	"errors"

	"replypath/marks"

	"golang.org/x/sys/unix"
)

// ErrGarbled is the error of bytes that are no table.
var ErrGarbled = errors.New("the kernel's table cannot be read")

// layout says where an entry of a table has what: struct ipt_entry, struct ip6t_entry. Counters stand at a multiple of 8.
type layout struct {
	in, out         int  // names of links
	inMask, outMask int  // the bytes of them that count
	flags           int  // one byte
	goes            byte // the flag for a goto instead of a jump
	selectors       int  // how many bytes say which packets the rule takes, the above and others
	target, next    int  // where the target and the next entry begin
	counters, size  int
}

var layouts = map[bool]layout{
	false: {in: 16, out: 32, inMask: 48, outMask: 64, flags: 82, goes: 1 << 1, selectors: 84, target: 88, next: 90, counters: 96, size: 112},
	true:  {in: 64, out: 80, inMask: 96, outMask: 112, flags: 131, goes: 1 << 2, selectors: 136, target: 140, next: 142, counters: 152, size: 168},
}

// What stands before a match's or target's own bytes (struct xt_entry_match): its size, its name, its revision.
const (
	headSize = 32
	headName = 29
)

// What the standard target, which has no name, answers instead of a place in the table (linux/netfilter/x_tables.h).
const verdictReturn = -5

// builtins are the chains of the mangle table by the number of their hook.
var builtins = [...]string{unix.NF_INET_PRE_ROUTING: "PREROUTING", unix.NF_INET_LOCAL_IN: "INPUT", unix.NF_INET_FORWARD: "FORWARD",
	unix.NF_INET_LOCAL_OUT: "OUTPUT", unix.NF_INET_POST_ROUTING: "POSTROUTING"}

// Hooks is where the built-in chains of a table begin, by the number of their hook; -1: there is no such chain.
type Hooks [len(builtins)]int

// Entries calls each with every rule of a table of the legacy backend and where it begins, until each gives false.
func Entries(table []byte, ipv6 bool, each func(at int, entry []byte) bool) error {
	l := layouts[ipv6]
	for at := 0; at < len(table); {
		rest := table[at:]
		if len(rest) < l.size {
			return ErrGarbled
		}
		next := int(binary.NativeEndian.Uint16(rest[l.next:]))
		if next < l.size || next > len(rest) {
			return ErrGarbled
		}
		if !each(at, rest[:next]) {
			return nil
		}
		at += next
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
	g := legacyReader{layout: layouts[ipv6], begins: map[int]string{}, table: Table{}}
	for hook, at := range hooks {
		if at >= 0 {
			g.begins[at] = builtins[hook]
		}
	}
	if err := Entries(table, ipv6, g.heads); err != nil {
		return nil, err
	}
	if err := Entries(table, ipv6, g.entry); err != nil {
		return nil, err
	}
	for chain, rules := range g.table {
		if len(rules) == 0 {
			return nil, ErrGarbled
		}
		g.table[chain] = rules[:len(rules)-1]
	}
	return g.table, nil
}

type legacyReader struct {
	layout
	begins map[int]string // which chain's first rule stands there
	chain  string         // that the reader is in
	table  Table
}

// heads finds where the chains of people begin: behind an entry with the target ERROR, which bears the chain's name.
func (g *legacyReader) heads(at int, entry []byte) bool {
	if e, ok := g.targetOf(entry); ok && e.name == "ERROR" {
		g.begins[at+len(entry)] = unix.ByteSliceToString(e.info)
	}
	return true
}

func (g *legacyReader) entry(at int, entry []byte) bool {
	if name, begins := g.begins[at]; begins {
		g.chain = name
	}
	if e, ok := g.targetOf(entry); ok && e.name == "ERROR" {
		g.chain = "" // the next chain's head, or the table's end
		return true
	}
	g.table[g.chain] = append(g.table[g.chain], g.rule(at, entry))
	return true
}

func (g *legacyReader) targetOf(entry []byte) (e extension, ok bool) {
	at := int(binary.NativeEndian.Uint16(entry[g.target:]))
	if at < g.size || at > len(entry)-headSize {
		return e, false
	}
	return headed(entry[at:]), true
}

func headed(b []byte) extension {
	return extension{name: unix.ByteSliceToString(b[2 : 2+headName]), revision: b[2+headName], info: b[headSize:]}
}

func (g *legacyReader) rule(at int, entry []byte) (r Rule) {
	in, knownIn := linkName(entry[g.in:], entry[g.inMask:])
	out, knownOut := linkName(entry[g.out:], entry[g.outMask:])
	r.Whole = knownIn && knownOut && g.selectsByLinks(entry)
	r.In, r.Out = in, out
	e, ok := g.targetOf(entry)
	if !ok {
		return Rule{}
	}
	target := int(binary.NativeEndian.Uint16(entry[g.target:]))
	for matches := entry[g.size:target]; len(matches) > 0; {
		if len(matches) < headSize {
			return Rule{}
		}
		size := int(binary.NativeEndian.Uint16(matches))
		if size < headSize || size > len(matches) {
			return Rule{}
		}
		r.Whole = headed(matches[:size]).match(&r.Rule) && r.Whole
		matches = matches[size:]
	}
	known := false
	if e.name == "" {
		r.Target, known = g.verdict(e, at+len(entry), entry[g.flags]&g.goes != 0)
	} else if r.Target, known = e.target(); entry[g.flags]&g.goes != 0 {
		known = false
	}
	r.Whole = r.Whole && known
	return r
}

// selectsByLinks reports whether an entry asks for nothing but the links, before its matches.
func (g *legacyReader) selectsByLinks(entry []byte) bool {
	for i, b := range entry[:g.selectors] {
		link := i >= g.in && i < g.outMask+unix.IFNAMSIZ
		if b != 0 && !link && (i != g.flags || b != g.goes) {
			return false
		}
	}
	return true
}

// verdict reads the standard target: a place in the table is a chain's beginning, or where the next rule is.
func (g *legacyReader) verdict(e extension, next int, goes bool) (t marks.Target, known bool) {
	if len(e.info) < 4 {
		return t, false
	}
	where := int(int32(e.word(0)))
	chain, there := g.begins[where]
	switch {
	case where == verdictReturn && !goes:
		return marks.Target{Verb: marks.Return}, true
	case where == next && !goes:
		return t, true
	case !there:
		return t, false
	case goes:
		return to(marks.Goto, chain)
	}
	return to(marks.Jump, chain)
}

// linkName reads a link's name: the mask has as many bytes as count, the end of the name among them unless only its
// beginning does.
func linkName(name, mask []byte) (text string, known bool) {
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
		return exactly(string(name[:end]))
	}
	return begins(string(name[:n]))
}
