package manual

import (
	"regexp"
	"strings"
)

var (
	comment  = regexp.MustCompile(`(?m)^<!--.*-->\n`)
	link     = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	strong   = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	emphasis = regexp.MustCompile(`\*([^*]+)\*`)
	code     = regexp.MustCompile("`([^`]+)`")
	escaped  = regexp.MustCompile(`\\\(ga(.+?)\\\(ga`) // code in the output of escape
)

// Page7 returns a manual page of section 7 in man(7) format, made from Markdown with headings, paragraphs, lists, tables, code
// blocks, links, emphasis and inline code. The title of the text is omitted, and brief is for apropos(1). A table becomes a list:
// its header and all but the first and the last column are omitted.
func Page7(name, brief string, markdown []byte) string {
	text := comment.ReplaceAllString(string(markdown), "")
	_, text, _ = strings.Cut(text, "\n") // its title
	out := newPage(name, 7, brief)
	out.heading("DESCRIPTION")
	for between := ""; text != ""; {
		var part string
		part, text = cutPart(text)
		switch {
		case strings.HasPrefix(part, "### "):
			out.subheading(stripMarkup(part[4:]))
			between = ""
			continue
		case strings.HasPrefix(part, "## "):
			out.heading(strings.ToUpper(stripMarkup(part[3:])))
			between = ""
			continue
		case strings.HasPrefix(part, "```"):
			_, lines, _ := strings.Cut(strings.TrimSuffix(part, "```"), "\n")
			out.macro(".IP")
			out.verbatim(lines)
		case strings.HasPrefix(part, "| "):
			out.table(part)
		case strings.HasPrefix(part, "- "):
			out.list(part)
		default:
			if between != "" {
				out.macro("%s", between)
			}
			out.macro("%s", withFonts(part))
		}
		between = ".PP"
	}
	out.heading("SEE ALSO")
	out.text("replypath(8), replypath.toml(5), ip-rule(8), ip-route(8)")
	return out.String()
}

// table writes the rows of a Markdown table as tagged paragraphs.
func (p *page) table(part string) {
	for _, row := range strings.Split(part, "\n")[2:] {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		p.macro(".TP\n%s", withFonts(cells[0]))
		p.macro("%s", withFonts(cells[len(cells)-1]))
	}
}

// list writes the items of a Markdown list, whose lines are indented by two spaces.
func (p *page) list(part string) {
	for _, item := range strings.Split("\n"+part, "\n- ")[1:] {
		p.macro(".IP \\(bu 2")
		p.macro("%s", withFonts(strings.ReplaceAll(item, "\n  ", "\n")))
	}
}

// cutPart returns the first paragraph or code block of the text, and the rest.
func cutPart(text string) (part, rest string) {
	text = strings.TrimLeft(text, "\n")
	end := "\n\n"
	if strings.HasPrefix(text, "```") {
		end = "\n```\n"
	}
	part, rest, _ = strings.Cut(text, end)
	return strings.TrimSuffix(part, "\n"), strings.TrimLeft(rest, "\n")
}

// stripMarkup returns the text without Markdown links, emphasis and inline code.
func stripMarkup(text string) string {
	text = strong.ReplaceAllString(link.ReplaceAllString(text, "$1"), "$1")
	return code.ReplaceAllString(emphasis.ReplaceAllString(text, "$1"), "$1")
}

// withFonts returns the escaped text with emphasis in italics, and strong emphasis and code in bold.
func withFonts(text string) string {
	text = escape(strong.ReplaceAllString(link.ReplaceAllString(text, "$1"), "`$1`"))
	return emphasis.ReplaceAllString(escaped.ReplaceAllString(text, `\fB$1\fR`), `\fI$1\fR`)
}
