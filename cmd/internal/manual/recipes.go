package manual

import (
	"regexp"
	"strings"
)

var (
	comment  = regexp.MustCompile(`(?m)^<!--.*-->\n`)
	link     = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	emphasis = regexp.MustCompile(`\*([^*]+)\*`)
	code     = regexp.MustCompile("`([^`]+)`")
	escaped  = regexp.MustCompile(`\\\(ga(.+?)\\\(ga`) // code in the output of escape
)

// Page7 returns the manual page replypath-recipes(7) in man(7) format, made from Markdown with headings, paragraphs, code
// blocks, links, emphasis and inline code.
func Page7(recipes []byte) string {
	text := comment.ReplaceAllString(string(recipes), "")
	_, text, _ = strings.Cut(text, "\n") // its title
	out := newPage("replypath-recipes", 7, "what goes wrong with several uplinks, and what to do")
	out.heading("DESCRIPTION")
	for between := ""; text != ""; {
		var part string
		part, text = cutPart(text)
		switch {
		case strings.HasPrefix(part, "```"):
			_, lines, _ := strings.Cut(strings.TrimSuffix(part, "```"), "\n")
			out.macro(".IP")
			out.verbatim(lines)
			between = ".PP"
		case strings.HasPrefix(part, "### "):
			out.subheading(stripMarkup(part[4:]))
			between = ""
		case strings.HasPrefix(part, "## "):
			out.heading(strings.ToUpper(stripMarkup(part[3:])))
			between = ""
		default:
			if between != "" {
				out.macro("%s", between)
			}
			out.macro("%s", withFonts(part))
			between = ".PP"
		}
	}
	out.heading("SEE ALSO")
	out.text("replypath(8), replypath.toml(5), ip-rule(8), ip-route(8)")
	return out.String()
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
	return code.ReplaceAllString(emphasis.ReplaceAllString(link.ReplaceAllString(text, "$1"), "$1"), "$1")
}

// withFonts returns the escaped text with emphasis in italics and code in bold.
func withFonts(text string) string {
	text = escape(link.ReplaceAllString(text, "$1"))
	return emphasis.ReplaceAllString(escaped.ReplaceAllString(text, `\fB$1\fR`), `\fI$1\fR`)
}
