package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is figures in rows and columns, with what they are.
type table struct {
	title   string
	note    string
	columns []string // the first is the head of the rows' names
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the table as Markdown with its columns aligned, which is readable on a terminal too.
func (t *table) print(to io.Writer) {
	fmt.Fprintf(to, "\n**%s**", t.title)
	if t.note != "" {
		fmt.Fprintf(to, " %s", t.note)
	}
	fmt.Fprint(to, "\n\n")
	width := make([]int, len(t.columns))
	for _, row := range append([][]string{t.columns}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell), 3)
		}
	}
	t.line(to, width, t.columns)
	rule := make([]string, len(width))
	for i, w := range width {
		rule[i] = strings.Repeat("-", w)
	}
	t.line(to, width, rule)
	for _, row := range t.rows {
		t.line(to, width, row)
	}
}

func (t *table) line(to io.Writer, width []int, cells []string) {
	for i, w := range width {
		cell := ""
		if i < len(cells) {
			cell = cells[i]
		}
		fmt.Fprintf(to, "| %s%s ", cell, strings.Repeat(" ", w-utf8.RuneCountInString(cell)))
	}
	fmt.Fprintln(to, "|")
}
