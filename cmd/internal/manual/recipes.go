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
	escaped  = regexp.MustCompile(`\\\(ga(.+?)\\\(ga`) // code, as escape leaves it
)

// Page7 is the manual page replypath-recipes(7), made of the page of recipes: Markdown with headings, paragraphs, blocks of
// code, links, and words that are emphasized or code.
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

// cutPart gives the first part of the text, a block of code or what stands up to a blank line, and the rest.
func cutPart(text string) (part, rest string) {
	text = strings.TrimLeft(text, "\n")
	end := "\n\n"
	if strings.HasPrefix(text, "```") {
		end = "\n```\n"
	}
	part, rest, _ = strings.Cut(text, end)
	return strings.TrimSuffix(part, "\n"), strings.TrimLeft(rest, "\n")
}

// stripMarkup is a text without what Markdown marks.
func stripMarkup(text string) string {
	return code.ReplaceAllString(emphasis.ReplaceAllString(link.ReplaceAllString(text, "$1"), "$1"), "$1")
}

// withFonts has emphasized words in italics, and code in bold.
func withFonts(text string) string {
	text = escape(link.ReplaceAllString(text, "$1"))
	return emphasis.ReplaceAllString(escaped.ReplaceAllString(text, `\fB$1\fR`), `\fI$1\fR`)
}
