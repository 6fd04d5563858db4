package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/BurntSushi/toml"
)

// table is a table as written. Its values are decoded one by one into their own types: decoding all of them into a struct
// stops at the first type error, in random order.
type table struct {
	src    *source
	parent *table // nil for the whole file
	key    string
	prim   toml.Primitive
	keys   map[string]toml.Primitive
}

// value is one value as written.
type value struct {
	in      table
	key     string
	prim    toml.Primitive
	element int // index in the list at the key, or -1
	raw     any
}

type (
	intValue struct {
		value
		val int64
	}
	stringValue struct {
		value
		val string
	}
)

func (s *source) root() table { return table{src: s, keys: s.keys} }

// keyNames returns the keys of the table, sorted.
func (t table) keyNames() []string { return slices.Sorted(maps.Keys(t.keys)) }

func (t table) path() toml.Key {
	if t.parent == nil {
		return nil
	}
	return append(t.parent.path(), t.key)
}

func (v value) path() toml.Key { return append(v.in.path(), v.key) }

func (t table) valueAt(key string) (v value, ok bool) {
	p, ok := t.keys[key]
	v = value{in: t, key: key, prim: p, element: -1}
	if ok {
		ok = t.src.meta.PrimitiveDecode(p, &v.raw) == nil
	}
	return v, ok
}

// asTable reads the value as a table.
func (v value) asTable() (t table, ok bool) {
	t = table{src: v.in.src, parent: &v.in, key: v.key, prim: v.prim}
	if _, ok := v.raw.(map[string]any); !ok {
		return t, false
	}
	return t, t.src.meta.PrimitiveDecode(v.prim, &t.keys) == nil
}

// walk returns the value at the path, or the last value on it that is not a table.
func (t table) walk(path toml.Key) value {
	v, _ := t.valueAt(path[0])
	if below, ok := v.asTable(); ok && len(path) > 1 {
		return below.walk(path[1:])
	}
	return v
}

// addMistake reports a mistake in the value.
func (v value) addMistake(remedy, format string, args ...any) {
	v.in.src.addMistake(v.valueRange(), fmt.Sprintf(format, args...), remedy)
}

// addTypeMistake reports that the value has another type than wanted.
func (v value) addTypeMistake(want, example string) {
	v.addMistake(fmt.Sprintf("write it as %s = %s", v.key, example), "%s must be %s, not %s", v.describe(), want, typeName(v.raw))
}

// describe returns the value's name for use in a sentence.
func (v value) describe() string {
	if v.element >= 0 {
		return "an element of " + v.key
	}
	return v.key
}

// location returns "file:line" of the value's key, for mistakes in other places.
func (v value) location() string {
	return fmt.Sprintf("%s:%d", v.in.src.path, v.in.src.line(v.keyRange()))
}

// typeName returns the TOML name, with its article, of a decoded value's type.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date or time"
	case []any:
		return "a list"
	case []map[string]any:
		return "a list of tables"
	}
	return "a table"
}
