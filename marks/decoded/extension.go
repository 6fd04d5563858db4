package decoded

import (
	"encoding/binary"

	"replypath/marks"
)

// extension is a match or target of xtables as a rule holds it: with the same bytes in both backends, and room behind
// them.
type extension struct {
	name     string
	revision uint8
	info     []byte
}

// word is a number of 32 bits in the host's order, and half one of 16. What is cut off reads as 0; size makes sure
// beforehand that it is not.
func (e extension) word(at int) uint32 { return binary.NativeEndian.Uint32(e.info[at:]) }
func (e extension) half(at int) uint16 { return binary.NativeEndian.Uint16(e.info[at:]) }

func (e extension) is(name string, revision uint8, size int) bool {
	return e.name == name && e.revision == revision && len(e.info) >= size
}

// match adds what the match asks to the rule, and reports whether that is all that it asks.
func (e extension) match(r *marks.Rule) bool {
	switch {
	case e.is("mark", 1, sizeMark):
		return e.mark(&r.Fwmark)
	case e.is("connmark", 1, sizeMark):
		return e.mark(&r.Ctmark)
	case e.is("devgroup", 0, sizeDevgroup):
		return e.devgroup(r)
	case e.is("conntrack", 3, sizeConntrack):
		return e.conntrack(r)
	}
	return false
}

// sizeMark is that of struct xt_mark_mtinfo1 and of struct xt_connmark_mtinfo1.
const sizeMark = 9

func (e extension) mark(into *marks.MarkTest) bool {
	if *into != (marks.MarkTest{}) || e.word(4) == 0 || e.info[8] > 1 {
		return false
	}
	*into = marks.MarkTest{Mark: marks.Mark(e.word(0)), Mask: marks.Mask(e.word(4)), Not: e.info[8] == 1}
	return true
}

// struct xt_devgroup_info, and its flag for a group that a packet comes from.
const (
	sizeDevgroup = 20
	sourceGroup  = 1 << 0
)

func (e extension) devgroup(r *marks.Rule) bool {
	if e.word(0) != sourceGroup || e.word(8) != 0xffffffff || e.word(4) == 0 || r.SrcGroup != 0 {
		return false
	}
	r.SrcGroup = e.word(4)
	return true
}

// struct xt_conntrack_mtinfo3, what its flags say that it asks, and a bit of a connection's status.
const (
	sizeConntrack = 162
	asksStatus    = 1 << 6
	asksDirection = 1 << 12
	assured       = 1 << 2
)

func (e extension) conntrack(r *marks.Rule) bool {
	asks, not, status := e.half(146), e.half(148), e.half(152)
	if asks == 0 || asks&^(asksStatus|asksDirection) != 0 || not&^asks != 0 {
		return false
	}
	if asks&asksStatus != 0 {
		if r.Young || status != assured || not&asksStatus == 0 {
			return false
		}
		r.Young = true
	}
	if asks&asksDirection == 0 {
		return true
	}
	if r.Dir != "" {
		return false
	}
	if r.Dir = "ORIGINAL"; not&asksDirection != 0 {
		r.Dir = "REPLY"
	}
	return true
}

// struct xt_connmark_tginfo1 and its modes. The second version can shift marks too.
const (
	sizeConnmark1 = 13
	sizeConnmark2 = 15
	modeSet       = 0
	modeSave      = 1
	modeRestore   = 2
)

// target gives what the target does, and reports whether that is known.
func (e extension) target() (t marks.Target, known bool) {
	var mode byte
	switch {
	case e.is("CONNMARK", 1, sizeConnmark1):
		mode = e.info[12]
	case e.is("CONNMARK", 2, sizeConnmark2) && e.info[12] == 0 && e.info[13] == 0:
		mode = e.info[14]
	default:
		return t, false
	}
	mark, mask, packet := e.word(0), e.word(4), e.word(8)
	switch {
	case mode == modeSet:
		return marks.Target{Verb: marks.SetCtmark, Mark: marks.Mark(mark), Mask: marks.Mask(mask)}, true
	case mask == packet && mode == modeSave:
		return marks.Target{Verb: marks.SaveMark, Mask: marks.Mask(mask)}, true
	case mask == packet && mode == modeRestore:
		return marks.Target{Verb: marks.RestoreMark, Mask: marks.Mask(mask)}, true
	}
	return t, false
}
