package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// Names of the markers around the tables of the last full runs.
const (
	benchTables       = "bench"
	instructionTables = "instructions"
)

// writeInto puts the digest of the results between the marks of a file.
func (r *results) writeInto(file string) { replaceBetween(file, benchTables, r.digest) }

// replaceBetween replaces the text between the markers of that name.
func replaceBetween(file, marker string, write func(io.Writer)) {
	opening, closing := "<!-- "+marker+" -->\n", "<!-- /"+marker+" -->\n"
	text, err := os.ReadFile(file)
	must(err, "read %s", file)
	before, rest, found := bytes.Cut(text, []byte(opening))
	_, after, closed := bytes.Cut(rest, []byte(closing))
	if !found || !closed {
		fatal("%s has no place between %q and %q", file, opening, closing)
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(opening)
	write(&b)
	b.WriteString(closing)
	b.Write(after)
	must(os.WriteFile(file, b.Bytes(), 0o644), "write %s", file)
}

// digest returns the summary for operators.
func (r *results) digest(to io.Writer) {
	fmt.Fprintf(to, "The last full run: %s, %s.\nFigures are medians, in brackets with the middle half of the rounds.\n",
		time.Now().Format(time.DateOnly), machine())
	for _, t := range r.short {
		t.print(to)
	}
	count := map[string]int{}
	left := &table{title: "What does not hold, or only within noise", columns: []string{"what", "figure", "bound", "verdict"}}
	for _, c := range r.requirements {
		count[c.verdict()]++
		if c.verdict() != holds {
			left.add(c.name, c.figure.String(), c.limit(), c.verdict())
		}
	}
	fmt.Fprintf(to, "\nOf %d bounds that the bench has, %d held, %d more within noise: not by the median, but by a quarter of the rounds.\n",
		len(r.requirements), count[holds], count[withinNoise])
	if len(left.rows) > 0 {
		left.print(to)
	}
}
