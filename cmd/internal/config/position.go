package config

import (
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
)

// textRange is a half-open range of byte offsets in a text.
type textRange struct{ start, end int }

// positionProbe is a type that always fails to decode: only a decoding error of the library carries the position of a key.
type positionProbe struct{}

func (*positionProbe) UnmarshalTOML(any) error { return errors.New("position") }

// offset returns the library's position of a value: the header of a table, the key in an inline table, and otherwise a byte
// in the line of its key, near the value. ok is false for tables that are only implied by a longer key.
func (s *source) offset(p toml.Primitive) (offset int, ok bool) {
	var pe toml.ParseError
	if !errors.As(s.meta.PrimitiveDecode(p, new(positionProbe)), &pe) || pe.Position.Line == 0 {
		return 0, false
	}
	return min(pe.Position.Start, len(s.text)), true
}

// indentEnd returns the offset of the first non-blank byte of the line that contains the offset.
func (s *source) indentEnd(offset int) int {
	return skipSet(s.text, strings.LastIndexByte(s.text[:offset], '\n')+1, blanks)
}

// isHeader reports whether a [table] header begins at the offset.
func (s *source) isHeader(offset int) bool {
	return offset == s.indentEnd(offset) && strings.HasPrefix(s.text[offset:], "[")
}

// isInline reports whether the table is written as { key = value }, or is inside such a table.
func (t table) isInline() bool {
	if t.parent == nil || t.parent.isInline() {
		return t.parent != nil
	}
	offset, ok := t.src.offset(t.prim)
	return ok && !t.src.isHeader(offset)
}

// statement is the positions of a dotted key's parts and of its value.
type statement struct {
	parts []textRange
	value textRange
}

// statement finds the key/value pair or the table header that sets the value.
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

// keyRange returns the position of the last part of the value's key.
func (v value) keyRange() textRange {
	if st, ok := v.statement(); ok {
		return st.keyPart(0)
	}
	return v.impliedKeyRange()
}

// impliedKeyRange returns the position of the name of a table that is written only as a prefix of longer keys.
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

// keyPart returns the part of the key that is the given number of parts before the last.
func (st statement) keyPart(before int) textRange {
	if i := len(st.parts) - 1 - before; i >= 0 && i < len(st.parts) {
		return st.parts[i]
	}
	return st.value
}

// valueRange returns the position of the value; for a table, of its name.
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
