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

func TestPageOfRecipesIsComplete(t *testing.T) {
	page := unescape.Replace(manual.Page7("replypath-recipes", "brief", etc.Recipes))
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
	got := manual.Page7("x", "y", []byte("# Title\n\n*\"It's a-b.\"* See `x --y` and\n[there](#there).\n\n.so x\n"))
	for _, want := range []string{".SH DESCRIPTION\n\\fI\"It\\(aqs a\\-b.\"\\fR See \\fBx \\-\\-y\\fR and\nthere.\n.PP\n\\&.so x\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestPage7WritesListsAndTables(t *testing.T) {
	got := manual.Page7("x", "y", []byte("# Title\n\n- **one** *a*\n  more\n- two\n\n| a | b | c |\n| --- | --- | --- |\n| `k` | omitted | text |\n\nend\n"))
	for _, want := range []string{".IP \\(bu 2\n\\fBone\\fR \\fIa\\fR\nmore\n.IP \\(bu 2\ntwo\n", ".TP\n\\fBk\\fR\ntext\n.PP\nend\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestPagesOfSection7HaveEveryTableRow(t *testing.T) {
	for _, name := range []string{"kernel", "proof", "doctor"} {
		text, err := etc.Pages.ReadFile("doc/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		page := manual.Page7(name, "brief", text)
		rows := regexp.MustCompile(`(?m)^\| .* \|$`).FindAllString(string(text), -1)
		tables := strings.Count(string(text), "\n| --- ")
		if got := strings.Count(page, "\n.TP\n"); got != len(rows)-2*tables || got == 0 {
			t.Errorf("%s: %d paragraphs for %d rows of %d tables", name, got, len(rows), tables)
		}
		for _, left := range []string{"<!--", "```", "](", "| ", "\n##", "**"} {
			if strings.Contains(page, left) {
				t.Errorf("%s: the page still has %q", name, left)
			}
		}
	}
}
