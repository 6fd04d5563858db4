package config

import "iter"

// intAt returns the integer at the key; nil if it is absent or of another type.
func (t table) intAt(key string, known keys) *intValue {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	return v.asInt(known)
}

// asInt reads the value as an integer.
func (v value) asInt(known keys) *intValue {
	n, ok := v.raw.(int64)
	if !ok {
		v.addTypeMistake("an integer", known.example(v.key))
		return nil
	}
	return &intValue{v, n}
}

// boolAt returns the boolean at the key; false if it is absent or of another type.
func (t table) boolAt(key string, known keys) bool {
	v := t.boolValueAt(key, known)
	return v != nil && v.val
}

// boolValue is a boolean with its position.
type boolValue struct {
	value
	val bool
}

// boolValueAt returns the boolean at the key; nil if it is absent or of another type.
func (t table) boolValueAt(key string, known keys) *boolValue {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	b, ok := v.raw.(bool)
	if !ok {
		v.addTypeMistake("a boolean", known.example(key))
		return nil
	}
	return &boolValue{v, b}
}

// stringAt returns the string at the key; nil if it is absent or of another type.
func (t table) stringAt(key string, known keys) *stringValue {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	s, ok := v.raw.(string)
	if !ok {
		v.addTypeMistake("a string", known.example(key))
		return nil
	}
	return &stringValue{v, s}
}

// stringsAt returns the list of strings at the key: nil when it is not written.
func (t table) stringsAt(key string, known keys) []stringValue {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	elements, ok := v.raw.([]any)
	if !ok {
		v.addTypeMistake("a list of strings", known.example(key))
		return nil
	}
	if len(elements) == 0 {
		return []stringValue{}
	}
	return v.asStrings(elements, known)
}

// servicesAt returns the list of services at the key: nil when it is not written, or "auto".
func (t table) servicesAt(key string, known keys) []stringValue {
	if v, ok := t.valueAt(key); ok && v.raw == auto {
		return nil
	}
	return t.stringsAt(key, known)
}

// stringOrStringsAt returns the string or the list of strings at the key. An empty list is a mistake.
func (t table) stringOrStringsAt(key string, known keys) []stringValue {
	v, ok := t.valueAt(key)
	if is, list := v.raw.([]any); ok && list && len(is) == 0 {
		v.addMistake("write "+key+" = "+known.example(key), "%s is an empty list", key)
	}
	return t.stringOrOptionalStringsAt(key, known)
}

// stringOrOptionalStringsAt returns the string or the list of strings at the key. The list may be empty.
func (t table) stringOrOptionalStringsAt(key string, known keys) []stringValue {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	switch is := v.raw.(type) {
	case string:
		return []stringValue{{v, is}}
	case []any:
		return v.asStrings(is, known)
	}
	v.addTypeMistake("a string or a list of strings", known.example(key))
	return nil
}

// asPair reads the value as a list of two elements.
func (v value) asPair(want string, known keys) (both [2]value, ok bool) {
	elements, ok := v.raw.([]any)
	if !ok || len(elements) != len(both) {
		v.addTypeMistake(want, known.example(v.key))
		return both, false
	}
	for i, element := range elements {
		both[i] = v
		both[i].element, both[i].raw = i, element
	}
	return both, true
}

// asStrings returns the elements that are strings, and reports the others as mistakes.
func (v value) asStrings(elements []any, known keys) (texts []stringValue) {
	for i, element := range elements {
		at := v
		at.element, at.raw = i, element
		if s, ok := element.(string); ok {
			texts = append(texts, stringValue{at, s})
			continue
		}
		at.addTypeMistake("a string", known.example(v.key))
	}
	return texts
}

// subtable returns the table at the key, which is empty if there is none.
func (t table) subtable(key string, known keys) table {
	v, ok := t.valueAt(key)
	if !ok {
		return table{}
	}
	below, ok := v.asTable()
	if !ok {
		v.addTypeMistake("a table", topKeys.example(key))
	}
	below.rejectUnknownKeys(known)
	return below
}

// subtables returns the names, sorted, and values in the table at the key. The values need not be tables.
func (t table) subtables(key string, known keys) iter.Seq2[string, value] {
	v, ok := t.valueAt(key)
	if !ok {
		return func(func(string, value) bool) {}
	}
	below, ok := v.asTable()
	if !ok {
		v.addTypeMistake("a table of tables", known.example(key))
	}
	return func(yield func(string, value) bool) {
		for _, name := range below.keyNames() {
			if v, ok := below.valueAt(name); ok && !yield(name, v) {
				return
			}
		}
	}
}
