// Package manual generates the manual pages from the program's help, the sample configuration and the recipes.
package manual

import (
	"fmt"
	"strings"
)

// page is a manual page in man(7) format.
type page struct{ strings.Builder }

// newPage returns a page with its title and the NAME section, which apropos(1) searches.
func newPage(name string, section int, brief string) *page {
	p := &page{}
	p.macro(`.TH %s %d "" replypath`, strings.ToUpper(name), section)
	p.macro(".nh\n.ad l")
	p.heading("NAME")
	p.macro("%s \\- %s", escape(name), escape(brief))
	return p
}

func (p *page) macro(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) heading(text string)    { p.macro(".SH %s", escape(text)) }
func (p *page) subheading(text string) { p.macro(".SS %s", escape(text)) }

// text writes paragraphs, which are separated by blank lines.
func (p *page) text(text string) { p.paragraphs(text, ".PP") }

func (p *page) paragraphs(text, between string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.macro("%s", between)
		}
		p.macro("%s", escape(paragraph))
	}
}

// item writes a tagged paragraph with one or more tags.
func (p *page) item(text string, tags ...string) {
	for i, tag := range tags {
		p.macro("%s\n\\fB%s\\fR", map[bool]string{true: ".TP", false: ".TQ"}[i == 0], escape(tag))
	}
	p.paragraphs(text, ".IP")
}

// verbatim writes the text without filling it.
func (p *page) verbatim(text string) {
	p.macro(".nf\n%s\n.fi", escape(strings.TrimSpace(text)))
}

var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`)

// escape escapes the characters that roff interprets, and dots at the beginning of lines.
func escape(text string) string {
	lines := strings.Split(special.Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
