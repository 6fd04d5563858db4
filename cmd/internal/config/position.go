package config

import (
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
)

// textRange is where something stands in a text, as byte offsets.
type textRange struct{ start, end int }

// positionProbe is a value that cannot be decoded into. The library tells the position of a valid key in no other way
// than in the error that it makes of this.
type positionProbe struct{}

func (*positionProbe) UnmarshalTOML(any) error { return errors.New("position") }

// offset is where the library says that a value stands: the header of a table, the key in an inline table, and
// otherwise somewhere in the line of its key, near the value. Tables that are only implied by a longer key have none.
func (s *source) offset(p toml.Primitive) (offset int, ok bool) {
	var pe toml.ParseError
	if !errors.As(s.meta.PrimitiveDecode(p, new(positionProbe)), &pe) || pe.Position.Line == 0 {
		return 0, false
	}
	return min(pe.Position.Start, len(s.text)), true
}

// indentEnd is where the line that holds the offset begins, after its indentation.
func (s *source) indentEnd(offset int) int {
	return skipSet(s.text, strings.LastIndexByte(s.text[:offset], '\n')+1, blanks)
}

// isHeader reports whether the offset of a value is that of a [table].
func (s *source) isHeader(offset int) bool {
	return offset == s.indentEnd(offset) && strings.HasPrefix(s.text[offset:], "[")
}

// isInline reports whether the table is written as { key = value }, or inside of one that is.
func (t table) isInline() bool {
	if t.parent == nil || t.parent.isInline() {
		return t.parent != nil
	}
	offset, ok := t.src.offset(t.prim)
	return ok && !t.src.isHeader(offset)
}

// statement is where the parts of a dotted key stand, and what they are the key of.
type statement struct {
	parts []textRange
	value textRange
}

// statement finds the line, or the part of an inline table, by which the value got into the file.
func (v value) statement() (st statement, ok bool) {
	s := v.in.src
	offset, ok := s.offset(v.prim)
	if !ok {
		return statement{}, false
	}
	start := s.indentEnd(offset)
	if v.in.isInline() {
		start = offset
	} else if s.isHeader(offset) {
		header := start
		start = skipSet(s.text, start, "[")
		st.parts, _ = scanKey(s.text, start)
		st.value = textRange{header, scanList(s.text, header)}
		return st, true
	}
	parts, end := scanKey(s.text, start)
	first := skipSet(s.text, end, "="+blanks)
	return statement{parts, textRange{first, scanValue(s.text, first)}}, true
}

// keyRange is where the value's key stands: the part of it that is the value's own name.
func (v value) keyRange() textRange {
	if st, ok := v.statement(); ok {
		return st.keyPart(0)
	}
	return v.impliedKeyRange()
}

// impliedKeyRange is where a table's name stands that is written only as the beginning of longer keys.
func (v value) impliedKeyRange() textRange {
	path := v.path()
	for _, longer := range v.in.src.meta.Keys() {
		if len(longer) <= len(path) || longer[:len(path)].String() != path.String() {
			continue
		}
		if st, ok := v.in.src.root().walk(longer).statement(); ok {
			return st.keyPart(len(longer) - len(path))
		}
	}
	return textRange{}
}

// keyPart is the part of the key that stands so many parts before the last.
func (st statement) keyPart(before int) textRange {
	if i := len(st.parts) - 1 - before; i >= 0 && i < len(st.parts) {
		return st.parts[i]
	}
	return st.value
}

// valueRange is where the value itself stands; of a table, its name.
func (v value) valueRange() textRange {
	st, ok := v.statement()
	switch {
	case !ok:
		return v.impliedKeyRange()
	case v.element < 0:
		return st.value
	}
	if elements := scanElements(v.in.src.text, st.value.start); v.element < len(elements) {
		return elements[v.element]
	}
	return st.value
}
