package manual

import (
	"regexp"
	"slices"
	"strings"
)

var (
	keyLine   = regexp.MustCompile(`^(# |#   )?(\w+ = .*)$`)
	tableLine = regexp.MustCompile(`^(#   )?(\[.*\])$`)
)

// placeholders replaces the names in the sample's table headers.
var placeholders = strings.NewReplacer("[uplinks.fibre]", "[uplinks.NAME]", "[uplinks.lte]", "[uplinks.NAME]",
	"[uplinks.lte.probes.dns]", "[uplinks.NAME.probes.NAME]", "[uplinks.lte.probes.web]", "[uplinks.NAME.probes.NAME]")

// entry is a paragraph of the sample: a comment and the keys or the table that it describes.
type entry struct {
	text  string
	table string   // "" if it begins no table
	keys  []string // with their values
}

// Page5 returns the manual page replypath.toml(5) in man(7) format, made from the sample configuration.
func Page5(sample []byte) string {
	entries := parseSample(string(sample))
	out := newPage("replypath.toml", 5, "configuration of replypath(8)")
	out.heading("DESCRIPTION")
	out.text(strings.TrimSpace(entries[0].text) + "\n\nThe file is /etc/replypath/replypath.toml. Each key is shown with its default, or with an example if it is required.")
	out.heading("KEYS")
	var table string
	var printed []string
	for _, e := range entries[1:] {
		if e.table != "" && e.table != table {
			table = e.table
			if !slices.Contains(printed, table) {
				out.subheading(table)
				out.text(e.text)
				printed = append(printed, table)
				e.text = ""
			}
		}
		switch {
		case len(e.keys) > 0 && e.text != "":
			out.item(e.text, e.keys...)
		case len(e.keys) > 0 && strings.Contains(table, "probes.NAME") && !slices.Contains(printed, "target"):
			printed = append(printed, "target")
			out.item("The target of the probe. Required.", e.keys...)
		}
	}
	out.heading("FILES")
	out.text("/etc/replypath/replypath.toml.sample is an example with every key.")
	out.heading("SEE ALSO")
	out.text("replypath(8), replypath-recipes(7), replypath-status(7)")
	return out.String()
}

func parseSample(sample string) (all []entry) {
	for block := range strings.SplitSeq(strings.TrimSpace(sample), "\n\n") {
		var e entry
		for line := range strings.SplitSeq(block, "\n") {
			comment, is := strings.CutPrefix(line, "#")
			switch {
			case keyLine.MatchString(line):
				e.keys = append(e.keys, keyLine.FindStringSubmatch(line)[2])
			case tableLine.MatchString(line):
				e.table = placeholders.Replace(tableLine.FindStringSubmatch(line)[2])
			case is:
				e.text += strings.TrimPrefix(comment, " ") + "\n"
			}
		}
		all = append(all, e)
	}
	return all
}
