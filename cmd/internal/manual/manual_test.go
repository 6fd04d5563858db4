package manual_test

import (
	"regexp"
	"strings"
	"testing"

	"replypath/cmd/internal/manual"
	"replypath/etc"
)

func TestPage5ListsEveryKey(t *testing.T) {
	keys, _, ok := strings.Cut(manual.Page5(etc.Sample), ".SH FILES")
	if !ok {
		t.Fatal("the page does not name the sample")
	}
	plain := strings.NewReplacer(`\-`, "-", `\fB`, "", `\fR`, "").Replace(keys)
	for _, m := range regexp.MustCompile(`(?m)^(?:# )?([a-z_]+) = `).FindAllStringSubmatch(string(etc.Sample), -1) {
		if !strings.Contains(plain, "\n"+m[1]+" = ") {
			t.Errorf("the page lacks the key %s", m[1])
		}
	}
	for _, table := range []string{"[endpoint]", "[proof]", "[probes]", "[uplinks.NAME]", "[uplinks.NAME.probes.NAME]"} {
		if n := strings.Count(plain, ".SS "+table+"\n"); n != 1 {
			t.Errorf("the table %s has %d headings", table, n)
		}
	}
	if strings.Contains(keys, "\n\n") {
		t.Error("the page has blank lines outside of the sample")
	}
	if strings.Contains(keys, ".SS [uplinks.fibre") || strings.Contains(keys, ".SS [uplinks.lte") {
		t.Error("the sample's names are not replaced by placeholders")
	}
}

func TestTextIsEscapedForRoff(t *testing.T) {
	p := manual.Program{Name: "x", Brief: "b", Long: ".so /etc/passwd\n'br\n\nhalf \\(em a-b", Commands: []manual.Command{
		{Usage: "do", Text: "first\n\nsecond", Options: []manual.Option{{Usage: "--all", Text: "everything"}}},
	}}
	page := p.Page8()
	for _, want := range []string{"\n\\&.so /etc/passwd\n\\(aqbr\n.PP\nhalf \\e(em a\\-b\n", ".TP\n\\fBdo\\fR\nfirst\n.IP\nsecond\n.RS\n.TP\n\\fB\\-\\-all\\fR\neverything\n.RE\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
}
