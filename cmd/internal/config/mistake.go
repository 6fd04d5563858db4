package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one mistake in a configuration file, with its position and a remedy.
type Mistake struct {
	File    string
	Line    int    // from 1
	Col     int    // from 1, in characters
	Len     int    // in characters, at least 1
	Source  string // the line of the file; unprintable characters are replaced by U+FFFD
	Message string
	Remedy  string
}

// String formats the mistake in four lines: position and message, source line, carets, remedy.
func (m Mistake) String() string {
	gutter := max(5, len(fmt.Sprint(m.Line)))
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s\n", m.File, m.Line, m.Col, m.Message)
	b.WriteString(strings.TrimRight(fmt.Sprintf("%*d | %s", gutter, m.Line, m.Source), " \t") + "\n")
	fmt.Fprintf(&b, "%*s | %s%s\n", gutter, "", m.indent(), strings.Repeat("^", max(m.Len, 1)))
	fmt.Fprintf(&b, "  remedy: %s\n", m.Remedy)
	return b.String()
}

// indent returns as much white space as there is text before the mistake. Tabs stay tabs.
func (m Mistake) indent() string {
	before := []rune(m.Source)
	before = before[:min(max(m.Col-1, 0), len(before))]
	for i, r := range before {
		if r != '\t' {
			before[i] = ' '
		}
	}
	return string(before)
}

// Mistakes is all mistakes of a configuration, sorted by file, line and column.
type Mistakes []Mistake

// Error formats all mistakes, without the final newline.
func (ms Mistakes) Error() string { return strings.TrimSuffix(ms.String(), "\n") }

// String formats all mistakes.
func (ms Mistakes) String() string {
	var b strings.Builder
	for _, m := range ms {
		b.WriteString(m.String())
	}
	return b.String()
}

func (ms Mistakes) sort() {
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Message, b.Message))
	})
}
