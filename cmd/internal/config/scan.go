package config

import "strings"

// The TOML library gives one offset for each key. From there these functions find the parts of the key, the end of the
// value and the elements of a list. They assume valid TOML.

const (
	blanks     = " \t"
	separators = " \t\r\n,"
)

// skipSet returns the offset of the first byte at or after i that is not in the set.
func skipSet(text string, i int, set string) int {
	for i < len(text) && strings.IndexByte(set, text[i]) >= 0 {
		i++
	}
	return i
}

// indexSet returns the offset of the first byte at or after i that is in the set.
func indexSet(text string, i int, set string) int {
	if n := strings.IndexAny(text[i:], set); n >= 0 {
		return i + n
	}
	return len(text)
}

// scanKey returns the parts of the dotted key at i, and its end.
func scanKey(text string, i int) (parts []textRange, end int) {
	for {
		i = skipSet(text, i, blanks)
		end = indexSet(text, i, blanks+".=]\r\n")
		if i < len(text) && (text[i] == '"' || text[i] == '\'') {
			end = scanString(text, i)
		}
		parts = append(parts, textRange{i, end})
		i = skipSet(text, end, blanks)
		if i == len(text) || text[i] != '.' {
			return parts, i
		}
		i++
	}
}

// scanValue returns the end of the value at i.
func scanValue(text string, i int) int {
	if i == len(text) {
		return i
	}
	switch text[i] {
	case '"', '\'':
		return scanString(text, i)
	case '[', '{':
		return scanList(text, i)
	}
	return indexSet(text, i, separators+"]}#")
}

// scanString returns the end of the string at i.
func scanString(text string, i int) int {
	quote, escapes := text[i:i+1], text[i] == '"'
	if long := strings.Repeat(quote, 3); strings.HasPrefix(text[i:], long) {
		quote = long
	}
	for i += len(quote); i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], quote):
			i += len(quote)
			// A multi-line string may end in one or two quotes that belong to it.
			for n := 0; len(quote) == 3 && n < 2 && i < len(text) && text[i] == quote[0]; n++ {
				i++
			}
			return i
		}
	}
	return len(text)
}

// scanList returns the end of the list or inline table at i.
func scanList(text string, i int) int {
	for depth := 0; i < len(text); {
		switch text[i] {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '"', '\'':
			i = scanString(text, i)
			continue
		case '#':
			i = indexSet(text, i, "\n")
			continue
		}
		i++
		if depth == 0 {
			return i
		}
	}
	return len(text)
}

// scanElements returns the elements of the list at i.
func scanElements(text string, i int) (elements []textRange) {
	for i = min(i+1, len(text)); ; {
		i = skipSet(text, i, separators)
		switch {
		case i == len(text) || text[i] == ']':
			return elements
		case text[i] == '#':
			i = indexSet(text, i, "\n")
		default:
			end := max(i+1, scanValue(text, i))
			elements = append(elements, textRange{i, end})
			i = end
		}
	}
}
