package manual_test

import (
	"regexp"
	"strings"
	"testing"

	"replypath/cmd/internal/manual"
	"replypath/etc"
)

// unescape removes the page's escapes and fonts.
var unescape = strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\(ha`, "^", `\(ti`, "~", `\(ga`, "`", `\&`, "", `\fB`, "", `\fI`, "", `\fR`, "", `\e`, `\`)

func TestPage7IsComplete(t *testing.T) {
	page := unescape.Replace(manual.Page7(etc.Recipes))
	recipes := string(etc.Recipes)
	blocks := regexp.MustCompile("(?s)\n```[a-z]+\n(.*?)\n```\n").FindAllStringSubmatch(recipes, -1)
	if len(blocks) < 20 || strings.Count(page, "\n.nf\n") != len(blocks) {
		t.Errorf("%d of %d blocks", strings.Count(page, "\n.nf\n"), len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(page, "\n.nf\n"+strings.TrimSpace(b[1])+"\n.fi\n") {
			t.Errorf("no block:\n%s", b[1])
		}
	}
	for _, h := range regexp.MustCompile("(?m)^(##+) (.*)$").FindAllStringSubmatch(recipes, -1) {
		want := map[string]string{"##": ".SH " + strings.ToUpper(h[2]), "###": ".SS " + h[2]}[h[1]]
		if !strings.Contains(page, "\n"+strings.ReplaceAll(want, "`", "")+"\n") {
			t.Errorf("no heading %q", want)
		}
	}
	for _, left := range []string{"<!--", "```", "](", "world:", "\n##"} {
		if strings.Contains(page, left) {
			t.Errorf("the page still has %q", left)
		}
	}
}

func TestPage7SetsFonts(t *testing.T) {
	got := manual.Page7([]byte("# Title\n\n*\"It's a-b.\"* See `x --y` and\n[there](#there).\n\n.so x\n"))
	for _, want := range []string{".SH DESCRIPTION\n\\fI\"It\\(aqs a\\-b.\"\\fR See \\fBx \\-\\-y\\fR and\nthere.\n.PP\n\\&.so x\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}
