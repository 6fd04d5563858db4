package config

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// Propose writes a configuration file that Read reads back as the given Settings. Defaults are left out. The comments for an
// uplink's name are written above its table, those for "" at the top of the file. The tables of doubtful uplinks are comments.
// Propose writes nothing and returns an error if the Settings cannot be expressed as a file.
func Propose(w io.Writer, s uplinks.Settings, comments map[string][]string, doubtful ...uplinks.Uplink) error {
	p := proposal{comments: comments}
	p.comment("")
	p.settings(s)
	p.udp(s.UDP)
	for _, u := range s.Uplinks {
		p.uplink(u)
		p.probe(u)
	}
	for _, u := range doubtful {
		table := proposal{}
		table.uplink(u)
		p.WriteString("\n")
		p.comment(u.Name)
		p.WriteString("#" + strings.ReplaceAll(strings.TrimSpace(table.String()), "\n", "\n#") + "\n")
	}
	text := strings.TrimPrefix(p.String(), "\n")
	if err := checkReadsBack(text, s); err != nil {
		return fmt.Errorf("propose configuration: %w", err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("propose configuration: %w", err)
	}
	return nil
}

// checkReadsBack returns an error unless the text is valid and reads back as the settings.
func checkReadsBack(text string, s uplinks.Settings) error {
	back, mistakes := resolve([]*source{{path: "proposal", text: text}})
	switch {
	case len(mistakes) > 0:
		return mistakes
	case !equalSettings(back.Settings, s):
		return errors.New("the settings cannot be written as a file: they would read back differently")
	}
	return nil
}

// equalSettings reports whether the settings are equal. Empty and nil lists are equal.
func equalSettings(a, b uplinks.Settings) bool {
	return slices.Equal(a.Inside, b.Inside) && slices.EqualFunc(a.Uplinks, b.Uplinks, uplinks.Uplink.Equal) &&
		a.Mask == b.Mask && a.Priority == b.Priority && a.TableBase == b.TableBase && a.Group == b.Group && a.Backend == b.Backend && a.Protect == b.Protect && reflect.DeepEqual(a.UDP, b.UDP) &&
		reflect.DeepEqual(a.Outbound, b.Outbound)
}

// proposal is the text of a configuration file.
type proposal struct {
	strings.Builder
	comments map[string][]string
}

// comment writes comment lines. It replaces characters that are not printable, as they could end the comment.
func (p *proposal) comment(name string) {
	for _, lines := range p.comments[name] {
		for line := range strings.SplitSeq(lines, "\n") {
			line = strings.Map(printable, strings.ToValidUTF8(line, "\ufffd"))
			p.WriteString(strings.TrimRight("# "+line, " ") + "\n")
		}
	}
}

// settings writes the keys that differ from the defaults.
func (p *proposal) settings(s uplinks.Settings) {
	d := uplinks.DefaultSettings()
	p.writeNonDefault("mask", s.Mask.String(), d.Mask.String())
	p.writeNonDefault("priority", fmt.Sprint(s.Priority), fmt.Sprint(d.Priority))
	p.writeNonDefault("table_base", fmt.Sprint(s.TableBase), fmt.Sprint(d.TableBase))
	p.writeNonDefault("link_group", fmt.Sprint(s.Group), fmt.Sprint(d.Group))
	p.writeNonDefault("backend", strconv.Quote(string(s.Backend)), strconv.Quote(string(marks.Auto)))
	p.writeNonDefault("protect", strconv.FormatBool(s.Protect), "false")
	if len(s.Inside) == 0 {
		return
	}
	p.WriteString("inside     = [\n")
	for _, link := range s.Inside {
		fmt.Fprintf(p, "  %q,\n", link)
	}
	p.WriteString("]\n")
}

// udp writes the table [udp], if UDP servers are helped.
func (p *proposal) udp(u *uplinks.UDPAnswers) {
	if u == nil {
		return
	}
	fmt.Fprintf(p, "\n[udp]\nanswer    = %q\n", answerAsked)
	p.writeNonDefault("entries", fmt.Sprint(u.Entries), fmt.Sprint(uplinks.DefaultUDPEntries))
	p.writeNonDefault("cgroup", strconv.Quote(u.Cgroup), `""`)
}

func (p *proposal) writeNonDefault(key, value, usual string) {
	if value != usual {
		fmt.Fprintf(p, "%-10s = %s\n", key, value)
	}
}

// uplink writes the table of one uplink.
func (p *proposal) uplink(u uplinks.Uplink) {
	p.WriteString("\n")
	p.comment(u.Name)
	fmt.Fprintf(p, "[uplinks.%s]\nid        = %d\n", u.Name, u.ID)
	if u.Link != u.Name {
		fmt.Fprintf(p, "interface = %q\n", u.Link)
	}
	fmt.Fprintf(p, "gateway   = %s\n", formatGateways(u))
	if u.WhenDown != uplinks.Hold {
		fmt.Fprintf(p, "when_down = %q\n", u.WhenDown)
	}
}

// probe writes the table of a probe as a comment: which host answers, the operator knows.
func (p *proposal) probe(u uplinks.Uplink) {
	fmt.Fprintf(p, "#[uplinks.%s.probes.internet]\n#target   = \"icmp://HOST\"           # a host beyond the gateway that answers pings\n", u.Name)
}

// formatGateways returns the value of the key "gateway".
func formatGateways(u uplinks.Uplink) string {
	var words []string
	for _, g := range []uplinks.Gateway{u.Gateway4, u.Gateway6} {
		if g.Addr.IsValid() {
			words = append(words, strconv.Quote(g.Addr.String()))
		}
	}
	switch v4, v6 := u.Gateway4, u.Gateway6; {
	case v4.Auto && v6 == uplinks.Gateway{}:
		words = append(words, strconv.Quote(autoIPv4))
	case v6.Auto && v4 == uplinks.Gateway{}:
		words = append(words, strconv.Quote(autoIPv6))
	case v4.Auto || v6.Auto:
		words = append(words, strconv.Quote(auto))
	}
	if len(words) == 1 {
		return words[0]
	}
	return "[" + strings.Join(words, ", ") + "]"
}
