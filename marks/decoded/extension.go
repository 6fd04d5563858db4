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

// uint32At is a number of 32 bits in the host's order, and half one of 16. What is cut off reads as 0; size makes sure
// beforehand that it is not.
func (e extension) uint32At(at int) uint32 { return binary.NativeEndian.Uint32(e.info[at:]) }
func (e extension) uint16At(at int) uint16 { return binary.NativeEndian.Uint16(e.info[at:]) }

func (e extension) is(name string, revision uint8, size int) bool {
	return e.name == name && e.revision == revision && len(e.info) >= size
}

// decodeMatch adds what the match asks to the rule, and reports whether that is all that it asks.
func (e extension) decodeMatch(r *marks.Rule) bool {
	switch {
	case e.is("mark", 1, sizeMark):
		return e.decodeMark(&r.Fwmark)
	case e.is("connmark", 1, sizeMark):
		return e.decodeMark(&r.Ctmark)
	case e.is("devgroup", 0, sizeDevgroup):
		return e.decodeDevgroup(r)
	case e.is("conntrack", 3, sizeConntrack):
		return e.decodeConntrack(r)
	}
	return false
}

// sizeMark is that of struct xt_mark_mtinfo1 and of struct xt_connmark_mtinfo1.
const sizeMark = 9

func (e extension) decodeMark(into *marks.MarkMatch) bool {
	if *into != (marks.MarkMatch{}) || e.uint32At(4) == 0 || e.info[8] > 1 {
		return false
	}
	*into = marks.MarkMatch{Mark: marks.Mark(e.uint32At(0)), Mask: marks.Mask(e.uint32At(4)), Not: e.info[8] == 1}
	return true
}

// struct xt_devgroup_info, and its flag for a group that a packet comes from.
const (
	sizeDevgroup = 20
	sourceGroup  = 1 << 0
)

func (e extension) decodeDevgroup(r *marks.Rule) bool {
	if e.uint32At(0) != sourceGroup || e.uint32At(8) != 0xffffffff || e.uint32At(4) == 0 || r.SrcGroup != 0 {
		return false
	}
	r.SrcGroup = e.uint32At(4)
	return true
}

// struct xt_conntrack_mtinfo3, what its flags say that it asks, and a bit of a connection's status.
const (
	sizeConntrack  = 162
	matchStatus    = 1 << 6
	matchDirection = 1 << 12
	assured        = 1 << 2
)

func (e extension) decodeConntrack(r *marks.Rule) bool {
	matchFlags, invertFlags, status := e.uint16At(146), e.uint16At(148), e.uint16At(152)
	if matchFlags == 0 || matchFlags&^(matchStatus|matchDirection) != 0 || invertFlags&^matchFlags != 0 {
		return false
	}
	if matchFlags&matchStatus != 0 {
		if r.NotAssured || status != assured || invertFlags&matchStatus == 0 {
			return false
		}
		r.NotAssured = true
	}
	if matchFlags&matchDirection == 0 {
		return true
	}
	if r.Dir != "" {
		return false
	}
	if r.Dir = "ORIGINAL"; invertFlags&matchDirection != 0 {
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

// decodeTarget gives what the target does, and reports whether that is known.
func (e extension) decodeTarget() (t marks.Action, ok bool) {
	var mode byte
	switch {
	case e.is("CONNMARK", 1, sizeConnmark1):
		mode = e.info[12]
	case e.is("CONNMARK", 2, sizeConnmark2) && e.info[12] == 0 && e.info[13] == 0:
		mode = e.info[14]
	default:
		return t, false
	}
	mark, mask, packet := e.uint32At(0), e.uint32At(4), e.uint32At(8)
	switch {
	case mode == modeSet:
		return marks.Action{Kind: marks.SetCtmark, Mark: marks.Mark(mark), Mask: marks.Mask(mask)}, true
	case mask == packet && mode == modeSave:
		return marks.Action{Kind: marks.SaveMark, Mask: marks.Mask(mask)}, true
	case mask == packet && mode == modeRestore:
		return marks.Action{Kind: marks.RestoreMark, Mask: marks.Mask(mask)}, true
	}
	return t, false
}
