package main

import (
	"fmt"
	"os"
	"strings"

	"replypath/cmd/internal/doctor"

	"golang.org/x/sys/unix"
)

// fullWidth is how wide text is where there is no terminal, and at most.
const fullWidth = 100

// width is that of the terminal, between sensible bounds.
func (p *program) width() int {
	const least = 40
	if f, ok := p.stdout.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return max(least, min(int(size.Col), fullWidth))
		}
	}
	return fullWidth
}

// writeDiagnosis groups the findings by their severity, and sets what was seen and what to do below each.
func (p *program) writeDiagnosis(findings []doctor.Finding, unseen []doctor.Unseen) error {
	paint, columns := newPaint(p.stdout), p.width()
	colour := map[doctor.Severity]func(string) string{doctor.Error: paint.bad, doctor.Warning: paint.poor, doctor.Note: paint.bold}
	var text strings.Builder
	for _, severity := range doctor.Severities {
		some := of(findings, severity)
		if len(some) == 0 {
			continue
		}
		fmt.Fprintln(&text, colour[severity](count(len(some), string(severity))))
		for _, f := range some {
			indent(&text, columns, "  "+paint.bold(f.ID)+": ", 2+len(f.ID)+2, "    ", f.What)
			for _, line := range f.Evidence {
				indent(&text, columns, "    | ", 6, "    |   ", line)
			}
			indent(&text, columns, "    > ", 6, "      ", f.Remedy)
		}
	}
	if len(unseen) > 0 {
		fmt.Fprintln(&text, paint.bold("could not look at"))
	}
	for _, u := range unseen {
		indent(&text, columns, "  ", 2, "    ", u.What+": "+u.Why)
	}
	fmt.Fprintln(&text, verdict(findings))
	_, err := p.stdout.Write([]byte(text.String()))
	return err
}

func of(findings []doctor.Finding, s doctor.Severity) (some []doctor.Finding) {
	for _, f := range findings {
		if f.Severity == s {
			some = append(some, f)
		}
	}
	return some
}

// indent breaks a text into lines behind a lead of so many columns; further lines begin with rest.
func indent(text *strings.Builder, columns int, lead string, wide int, rest, what string) {
	// The first line may be shorter or longer than the others: a word stands for what is before it.
	placeholder := strings.Repeat("x", max(wide-len(rest)-1, 1))
	lines := fold(placeholder+" "+plain(what), columns-len(rest))
	for i, line := range lines {
		if i == 0 {
			line = strings.TrimPrefix(strings.TrimPrefix(line, placeholder), " ")
			fmt.Fprintln(text, strings.TrimRight(lead+line, " "))
			continue
		}
		fmt.Fprintln(text, rest+line)
	}
}

func verdict(findings []doctor.Finding) string {
	switch {
	case !doctor.Well(findings):
		fixable := 0
		for _, f := range findings {
			if f.Fixable {
				fixable++
			}
		}
		if fixable > 0 {
			return fmt.Sprintf("replypath doctor --fix can do %d of it", fixable)
		}
		return "nothing of it can be fixed by itself"
	case len(findings) > 0:
		return "nothing would break the reply path"
	}
	return "all is well: nothing would break the reply path"
}
