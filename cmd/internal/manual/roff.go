// Package manual writes the manual pages, out of what the program and the sample configuration say themselves.
package manual

import (
	"fmt"
	"strings"
)

// page is a manual page as man(7) wants it.
type page struct{ strings.Builder }

// newPage begins the page that apropos(1) finds by its name and what it says in a few words.
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

// text is written in paragraphs, which blank lines part.
func (p *page) text(text string) { p.paragraphs(text, ".PP") }

func (p *page) paragraphs(text, between string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.macro("%s", between)
		}
		p.macro("%s", escape(paragraph))
	}
}

// item is a text below its tags, of which there may be several.
func (p *page) item(text string, tags ...string) {
	for i, tag := range tags {
		p.macro("%s\n\\fB%s\\fR", map[bool]string{true: ".TP", false: ".TQ"}[i == 0], escape(tag))
	}
	p.paragraphs(text, ".IP")
}

// verbatim is not filled.
func (p *page) verbatim(text string) {
	p.macro(".nf\n%s\n.fi", escape(strings.TrimSpace(text)))
}

var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`)

// escape keeps roff from taking anything of the text for its own.
func escape(text string) string {
	lines := strings.Split(special.Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
