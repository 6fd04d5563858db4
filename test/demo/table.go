package main

import (
	"fmt"
	"strings"

	"replypath/cmd/terminal"
)

// Widths of a table's columns: the line's label, and each of the gateway's four addresses. They make 80.
const (
	labelWidth = 14
	cellWidth  = 16
)

// print shows what became of the requests: a line for each kind, a column for each destination.
func (r results) print(when string, colours terminal.Palette) {
	var at, in strings.Builder
	columns := 0
	for _, u := range r.in.Uplinks {
		for _, a := range u.Addrs() {
			fmt.Fprintf(&at, "%-*s", cellWidth, a)
			fmt.Fprintf(&in, "%-*s", cellWidth, u.Link.Name)
			columns++
		}
	}
	fmt.Printf("  %s%s\n", colours.Bold(fmt.Sprintf("%-*s", labelWidth, when)), strings.TrimRight(at.String(), " "))
	fmt.Printf("  %-*s%s\n", labelWidth, "came in by", strings.TrimRight(in.String(), " "))
	for start := 0; start < len(r.requests); start += columns {
		row := r.requests[start : start+columns]
		fmt.Printf("  %-*s", labelWidth, row[0].label)
		for i, q := range row {
			r.cell(q, i == columns-1, colours)
		}
		fmt.Println()
	}
}

// cell pads before it paints: colours have no width.
func (r results) cell(q request, last bool, colours terminal.Palette) {
	text := r.of[q].String()
	padded := fmt.Sprintf("%-*s", cellWidth, text)
	if last {
		padded = text
	}
	if r.of[q] == right(q) {
		fmt.Print(colours.Green(padded))
		return
	}
	fmt.Print(colours.Red(padded))
}
