package docs

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/etc"
	"replypath/marks"
	"replypath/test/box"
	"replypath/test/house"
	"replypath/test/world"

	"github.com/google/go-cmp/cmp"
)

// updateReadmeVariable names the environment variable that has the plan written into the README instead of compared:
//
//	UPDATE_README=1 go test -run README ./test/docs
const updateReadmeVariable = "UPDATE_README"

// block is the code block between the README's markers of that name: where it begins, and what it holds.
func block(t *testing.T, text, name string) (start int, content string) {
	t.Helper()
	form := regexp.MustCompile("(?s)<!-- " + name + " -->\n```[a-z]*\n(.*?)```\n<!-- /" + name + " -->")
	m := form.FindStringSubmatchIndex(text)
	if m == nil {
		t.Fatalf("the README has no block %q", name)
	}
	return m[2], text[m[2]:m[3]]
}

func TestREADMEShowsTheExactPlan(t *testing.T) {
	text := house.ReadREADME(t)
	b := box.New(t, world.TwoISPs(t))
	_, config := block(t, text, "config")
	b.Write(config)
	got := b.Must(3, "plan").Stdout
	start, want := block(t, text, "plan")
	if got == want {
		b.Apply()
		return
	}
	if os.Getenv(updateReadmeVariable) == "" {
		t.Fatalf("the README says otherwise (if the program is right: %s=1 go test -run README ./test/docs):\n%s",
			updateReadmeVariable, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
	if err := os.WriteFile(house.README, []byte(text[:start]+got+text[start+len(want):]), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestREADMENamesEveryKeyAndDefault(t *testing.T) {
	text := house.ReadREADME(t)
	for _, m := range regexp.MustCompile(`(?m)^(# )?([a-z_]+) = (.*)$`).FindAllStringSubmatch(string(etc.Sample), -1) {
		commented, key, value := m[1] != "", m[2], m[3]
		row := "| `" + key + "` |"
		if commented { // what the sample shows as a comment is the default
			row += " `" + value + "` |"
		}
		if !strings.Contains(text, row) {
			t.Errorf("no row %q", row)
		}
	}
}

func TestREADMENamesEveryCommandAndNoOther(t *testing.T) {
	help, err := exec.Command(box.Binary, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(help), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var there []string
	for line := range strings.Lines(list) {
		if command := strings.Fields(line)[0]; command != "help" {
			there = append(there, command)
		}
	}
	var told []string
	for _, m := range regexp.MustCompile("replypath ([a-z]+)").FindAllStringSubmatch(commandsIn(house.ReadREADME(t)), -1) {
		told = append(told, m[1])
	}
	slices.Sort(told)
	if told = slices.Compact(told); !slices.Equal(told, there) {
		t.Errorf("the README tells of %v, the program has %v", told, there)
	}
}

// commandsIn is what stands in the README as code: in lines of shell, and between backquotes.
func commandsIn(text string) string {
	var code strings.Builder
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```|`(replypath [^`]*)`").FindAllStringSubmatch(text, -1) {
		code.WriteString(m[1] + m[2] + "\n")
	}
	return code.String()
}

func TestREADMENamesOnlyExistingChains(t *testing.T) {
	there := map[string]bool{}
	var links []marks.Ingress
	for id := marks.ID(1); id < marks.MaxID; id++ {
		links = append(links, marks.Ingress{Link: fmt.Sprintf("eth%d", id), Mark: marks.Mask(0xff00).Mark(id)})
	}
	for _, c := range marks.Chains(0xff00, 8200, links) {
		there[c.Name] = true
	}
	named := regexp.MustCompile(marks.Prefix+`[A-Z0-9]+(-[a-z0-9]+)?`).FindAllString(house.ReadREADME(t), -1)
	for _, name := range named {
		if !there[name] {
			t.Errorf("the README names the chain %s, which there never is", name)
		}
	}
	if len(named) < 10 {
		t.Errorf("the README names no more chains than %v", named)
	}
}
