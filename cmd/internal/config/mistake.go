package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong in a configuration file, where it stands, and what to do about it.
type Mistake struct {
	File    string
	Line    int    // from 1
	Col     int    // from 1, in characters
	Len     int    // how many characters are meant, at least 1
	Source  string // the source line; characters that would disturb a terminal are replaced
	Message string
	Remedy  string
}

// String prints the mistake on four lines: place and message, source line, caret, remedy.
func (m Mistake) String() string {
	gutter := max(5, len(fmt.Sprint(m.Line)))
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s\n", m.File, m.Line, m.Col, m.Message)
	b.WriteString(strings.TrimRight(fmt.Sprintf("%*d | %s", gutter, m.Line, m.Source), " \t") + "\n")
	fmt.Fprintf(&b, "%*s | %s%s\n", gutter, "", m.indent(), strings.Repeat("^", max(m.Len, 1)))
	fmt.Fprintf(&b, "  remedy: %s\n", m.Remedy)
	return b.String()
}

// indent is as wide as what stands before the mistake: tabs stay tabs, whatever their width is on the terminal.
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

// Mistakes are all mistakes of a configuration, in the order of their file, line and column.
type Mistakes []Mistake

// Error prints all mistakes.
func (ms Mistakes) Error() string { return strings.TrimSuffix(ms.String(), "\n") }

// String prints all mistakes, each as Mistake.String does.
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
