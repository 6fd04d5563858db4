package docs

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
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

// updateVariable is the environment variable that makes the test write the plan into the page instead of comparing it:
//
//	UPDATE_DOCUMENTS=1 go test -run KernelPage ./test/docs
const updateVariable = "UPDATE_DOCUMENTS"

// block returns the code block between the markers of the name: its offset in the text, and its content.
func block(t *testing.T, text, name string) (start int, content string) {
	t.Helper()
	form := regexp.MustCompile("(?s)<!-- " + name + " -->\n```[a-z]*\n(.*?)```\n<!-- /" + name + " -->")
	m := form.FindStringSubmatchIndex(text)
	if m == nil {
		t.Fatalf("the page has no block %q", name)
	}
	return m[2], text[m[2]:m[3]]
}

func TestKernelPageShowsTheExactPlan(t *testing.T) {
	for marker, backend := range map[string]string{"plan": "", "plan-nftables": box.Nftables + "\n"} {
		t.Run(marker, func(t *testing.T) { checkPlanOfKernelPage(t, marker, backend) })
	}
}

// checkPlanOfKernelPage compares a block of the page with the plan in a backend; for nftables, with its commands for IPv4.
func checkPlanOfKernelPage(t *testing.T, marker, backend string) {
	text := house.ReadDocument(t, house.Kernel)
	b := box.New(t, world.TwoISPs(t))
	_, config := block(t, text, "config")
	b.Write(backend + config)
	got := b.Must(3, "plan").Stdout
	if backend != "" {
		_, both, _ := strings.Cut(got, "nft ")
		ipv4, _, _ := strings.Cut(both, "nft 'add table")
		got = "nft " + ipv4
	}
	start, want := block(t, text, marker)
	if got == want {
		b.Apply()
		return
	}
	if os.Getenv(updateVariable) == "" {
		t.Fatalf("the page differs (if the program is right: %s=1 go test -run KernelPage ./test/docs):\n%s",
			updateVariable, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
	if err := os.WriteFile(filepath.Join(house.Top, house.Kernel), []byte(text[:start]+got+text[start+len(want):]), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestREADMEHasTheConfigurationOfTheKernelPage(t *testing.T) {
	_, config := block(t, house.ReadDocument(t, house.Kernel), "config")
	if !strings.Contains(house.ReadDocument(t, house.README), "```toml\n"+config+"```\n") {
		t.Errorf("the README lacks the block\n%s", config)
	}
}

func TestConfigurationPageNamesEveryKeyAndDefault(t *testing.T) {
	text := house.ReadDocument(t, house.Configuration)
	for _, m := range regexp.MustCompile(`(?m)^(# |#   )?([a-z_]+) = (.*)$`).FindAllStringSubmatch(string(etc.Sample), -1) {
		commented, key, value := m[1] == "# ", m[2], m[3]
		row := "| `" + key + "` |"
		if commented { // a comment in the sample shows the default
			row += " `" + value + "` |"
		}
		if !strings.Contains(text, row) {
			t.Errorf("no row %q", row)
		}
	}
}

// The table has every command, and no document has another one.
func TestCommandsPageNamesEveryCommandAndNoOther(t *testing.T) {
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
	var documented []string
	table := house.ReadDocument(t, house.Commands)
	for _, m := range regexp.MustCompile("(?m)^\\| `replypath ([a-z]+)").FindAllStringSubmatch(table, -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(documented)
	if !slices.Equal(documented, there) {
		t.Errorf("the table has %v, the program has %v", documented, there)
	}
	for _, page := range house.Documents(t) {
		for _, m := range regexp.MustCompile("(?m)replypath ([a-z]+)(?: |$)").FindAllStringSubmatch(commandsIn(house.ReadDocument(t, page)), -1) {
			if !slices.Contains(there, m[1]) {
				t.Errorf("%s: there is no %q", page, m[0])
			}
		}
	}
}

// commandsIn returns the code in a document: lines of shell, and text between backquotes.
func commandsIn(text string) string {
	var code strings.Builder
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```|`(replypath [^`]*)`").FindAllStringSubmatch(text, -1) {
		code.WriteString(m[1] + m[2] + "\n")
	}
	return code.String()
}

func TestDocumentsNameOnlyExistingChains(t *testing.T) {
	there := map[string]bool{}
	var links []marks.Ingress
	for id := marks.ID(1); id < marks.MaxID; id++ {
		links = append(links, marks.Ingress{Link: fmt.Sprintf("eth%d", id), Mark: marks.Mask(0xff00).Mark(id)})
	}
	links[2].Link = links[1].Link
	links[0].Inside = []netip.Prefix{netip.MustParsePrefix("192.0.2.77/32")}
	for _, c := range marks.Chains(0xff00, 8200, false, links) {
		there[c.Name] = true
	}
	many := []marks.Ingress{links[1]}
	for id := marks.ID(3); id < 253; id++ {
		many = append(many, marks.Ingress{Link: links[1].Link, Mark: marks.Mask(0xff00).Mark(id), Routers: []string{fmt.Sprintf("02:00:00:00:00:%02x", id)}, Tree: true})
	}
	for _, c := range marks.Chains(0xff00, 8200, false, many) {
		there[c.Name] = true
	}
	for _, c := range marks.InterceptLayout(marks.Legacy, 0x10, false, nil) {
		there[c.Name] = true
	}
	outbound := marks.Outbound{Mask: 0xff00, Flag: 1, Group: 8200, Buckets: []marks.Mark{0x100}, Masquerade: true}
	for _, l := range links {
		outbound.Egress = append(outbound.Egress, marks.Egress{Link: l.Link, Mark: l.Mark})
	}
	for _, c := range outbound.Chains() {
		there[c.Name] = true
	}
	named := 0
	for _, page := range house.Documents(t) {
		for _, name := range regexp.MustCompile(marks.Prefix+`[A-Z0-9]+(-[a-z0-9]+)?`).FindAllString(house.ReadDocument(t, page), -1) {
			named++
			if !there[name] {
				t.Errorf("%s names the chain %s, which never exists", page, name)
			}
		}
	}
	if named < 10 {
		t.Errorf("the documents name only %d chains", named)
	}
}
