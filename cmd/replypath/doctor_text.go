package main

import (
	"fmt"
	"os"
	"strings"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/terminal"

	"golang.org/x/sys/unix"
)

// maxTextColumns is the largest width of text, and its width without a terminal.
const maxTextColumns = 100

// textColumns returns the width of the terminal, at least 40 and at most maxTextColumns.
func (p *program) textColumns() int {
	const least = 40
	if f, ok := p.stdout.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return max(least, min(int(size.Col), maxTextColumns))
		}
	}
	return maxTextColumns
}

// writeDiagnosis prints the findings by severity, each with its evidence and its remedy.
func (p *program) writeDiagnosis(findings []doctor.Finding, skipped []doctor.Skipped) error {
	colours, columns := terminal.NewPalette(p.stdout), p.textColumns()
	colour := map[doctor.Severity]func(string) string{doctor.Error: colours.Red, doctor.Warning: colours.Yellow, doctor.Note: colours.Bold}
	var text strings.Builder
	for _, severity := range doctor.Severities {
		some := withSeverity(findings, severity)
		if len(some) == 0 {
			continue
		}
		fmt.Fprintln(&text, colour[severity](pluralize(len(some), string(severity))))
		for _, f := range some {
			writeIndented(&text, columns, "  "+colours.Bold(f.ID)+": ", 2+len(f.ID)+2, "    ", f.Message)
			for _, line := range f.Evidence {
				writeIndented(&text, columns, "    | ", 6, "    |   ", line)
			}
			writeIndented(&text, columns, "    > ", 6, "      ", f.Remedy)
			for _, command := range f.Commands { // to be pasted: not wrapped
				fmt.Fprintln(&text, "      "+sanitize(command))
			}
		}
	}
	if len(skipped) > 0 {
		fmt.Fprintln(&text, colours.Bold("skipped"))
	}
	for _, u := range skipped {
		writeIndented(&text, columns, "  ", 2, "    ", u.Subject+": "+u.Reason)
	}
	fmt.Fprintln(&text, summarizeDiagnosis(findings))
	_, err := p.stdout.Write([]byte(text.String()))
	return err
}

func withSeverity(findings []doctor.Finding, s doctor.Severity) (some []doctor.Finding) {
	for _, f := range findings {
		if f.Severity == s {
			some = append(some, f)
		}
	}
	return some
}

// writeIndented writes a wrapped message. The first line begins with lead, of leadColumns columns, and the others with rest.
func writeIndented(text *strings.Builder, columns int, lead string, leadColumns int, rest, message string) {
	// The placeholder is a word as wide as lead is beyond rest, as the first line has another width than the others.
	placeholder := strings.Repeat("x", max(leadColumns-len(rest)-1, 1))
	lines := wrapText(placeholder+" "+sanitize(message), columns-len(rest))
	for i, line := range lines {
		if i == 0 {
			line = strings.TrimPrefix(strings.TrimPrefix(line, placeholder), " ")
			fmt.Fprintln(text, strings.TrimRight(lead+line, " "))
			continue
		}
		fmt.Fprintln(text, rest+line)
	}
}

func summarizeDiagnosis(findings []doctor.Finding) string {
	switch {
	case !doctor.OnlyNotes(findings):
		fixable := 0
		for _, f := range findings {
			if f.Fixable {
				fixable++
			}
		}
		if fixable > 0 {
			return fmt.Sprintf("replypath doctor --fix can fix %d of them", fixable)
		}
		return "none of them can be fixed automatically"
	case len(findings) > 0:
		return "nothing would break the reply path"
	}
	return "no findings: nothing would break the reply path"
}
