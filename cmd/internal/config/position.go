package config

import (
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
)

// place is where something stands in a text, as byte offsets.
type place struct{ start, end int }

// refusal is a value that cannot be decoded into. The library tells the position of a valid key in no other way
// than in the error that it makes of this.
type refusal struct{}

func (*refusal) UnmarshalTOML(any) error { return errors.New("position") }

// offset is where the library says that a value stands: the header of a table, the key in an inline table, and
// otherwise somewhere in the line of its key, near the value. Tables that are only implied by a longer key have none.
func (s *source) offset(p toml.Primitive) (offset int, ok bool) {
	var pe toml.ParseError
	if !errors.As(s.meta.PrimitiveDecode(p, new(refusal)), &pe) || pe.Position.Line == 0 {
		return 0, false
	}
	return min(pe.Position.Start, len(s.text)), true
}

// indentEnd is where the line that holds the offset begins, after its indentation.
func (s *source) indentEnd(offset int) int {
	return skip(s.text, strings.LastIndexByte(s.text[:offset], '\n')+1, blanks)
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
	parts []place
	value place
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
		start = skip(s.text, start, "[")
		st.parts, _ = scanKey(s.text, start)
		st.value = place{header, scanList(s.text, header)}
		return st, true
	}
	parts, end := scanKey(s.text, start)
	first := skip(s.text, end, "="+blanks)
	return statement{parts, place{first, scanValue(s.text, first)}}, true
}

// keyPlace is where the value's key stands: the part of it that is the value's own name.
func (v value) keyPlace() place {
	if st, ok := v.statement(); ok {
		return st.part(0)
	}
	return v.impliedPlace()
}

// impliedPlace is where a table's name stands that is written only as the beginning of longer keys.
func (v value) impliedPlace() place {
	path := v.path()
	for _, longer := range v.in.src.meta.Keys() {
		if len(longer) <= len(path) || longer[:len(path)].String() != path.String() {
			continue
		}
		if st, ok := v.in.src.root().walk(longer).statement(); ok {
			return st.part(len(longer) - len(path))
		}
	}
	return place{}
}

// part is the part of the key that stands so many parts before the last.
func (st statement) part(before int) place {
	if i := len(st.parts) - 1 - before; i >= 0 && i < len(st.parts) {
		return st.parts[i]
	}
	return st.value
}

// place is where the value itself stands; of a table, its name.
func (v value) place() place {
	st, ok := v.statement()
	switch {
	case !ok:
		return v.impliedPlace()
	case v.element < 0:
		return st.value
	}
	if elements := scanElements(v.in.src.text, st.value.start); v.element < len(elements) {
		return elements[v.element]
	}
	return st.value
}
