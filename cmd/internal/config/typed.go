package config

import "iter"

// number is the integer that the key stands for.
func (t table) number(key string, known keys) *number {
	v, ok := t.value(key)
	if !ok {
		return nil
	}
	return v.number(known)
}

// number reads the value as an integer.
func (v value) number(known keys) *number {
	n, ok := v.is.(int64)
	if !ok {
		v.misfit("an integer", known.example(v.key))
		return nil
	}
	return &number{v, n}
}

// text is the string that the key stands for.
func (t table) text(key string, known keys) *text {
	v, ok := t.value(key)
	if !ok {
		return nil
	}
	s, ok := v.is.(string)
	if !ok {
		v.misfit("a string", known.example(key))
		return nil
	}
	return &text{v, s}
}

// list is the list of strings that the key stands for.
func (t table) list(key string, known keys) []text {
	v, ok := t.value(key)
	if !ok {
		return nil
	}
	elements, ok := v.is.([]any)
	if !ok {
		v.misfit("a list of strings", known.example(key))
		return nil
	}
	return v.texts(elements, known)
}

// textOrList is the string or the list of strings that the key stands for. An empty list is a mistake.
func (t table) textOrList(key string, known keys) []text {
	v, ok := t.value(key)
	if is, list := v.is.([]any); ok && list && len(is) == 0 {
		v.wrong("write "+key+" = "+known.example(key), "%s is an empty list", key)
	}
	return t.textOrAnyList(key, known)
}

// textOrAnyList is the string or the list of strings that the key stands for.
func (t table) textOrAnyList(key string, known keys) []text {
	v, ok := t.value(key)
	if !ok {
		return nil
	}
	switch is := v.is.(type) {
	case string:
		return []text{{v, is}}
	case []any:
		return v.texts(is, known)
	}
	v.misfit("a string or a list of strings", known.example(key))
	return nil
}

// two reads the value as a list of two.
func (v value) two(want string, known keys) (both [2]value, ok bool) {
	elements, ok := v.is.([]any)
	if !ok || len(elements) != len(both) {
		v.misfit(want, known.example(v.key))
		return both, false
	}
	for i, element := range elements {
		both[i] = v
		both[i].element, both[i].is = i, element
	}
	return both, true
}

// texts are the elements that are strings; the others are mistakes.
func (v value) texts(elements []any, known keys) (texts []text) {
	for i, element := range elements {
		at := v
		at.element, at.is = i, element
		if s, ok := element.(string); ok {
			texts = append(texts, text{at, s})
			continue
		}
		at.misfit("a string", known.example(v.key))
	}
	return texts
}

// below is the table that the key stands for; it is empty when there is none.
func (t table) below(key string, known keys) table {
	v, ok := t.value(key)
	if !ok {
		return table{}
	}
	below, ok := v.table()
	if !ok {
		v.misfit("a table", topKeys.example(key))
	}
	below.unknown(known)
	return below
}

// tables gives the tables below the key, by name and sorted. They may turn out not to be tables.
func (t table) tables(key string, known keys) iter.Seq2[string, value] {
	v, ok := t.value(key)
	if !ok {
		return func(func(string, value) bool) {}
	}
	below, ok := v.table()
	if !ok {
		v.misfit("a table of tables", known.example(key))
	}
	return func(yield func(string, value) bool) {
		for _, name := range below.names() {
			if v, ok := below.value(name); ok && !yield(name, v) {
				return
			}
		}
	}
}
