package docs

import (
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/etc"
	"replypath/test/box"
	"replypath/test/house"
)

// blockTests has, for each document, the test that executes a block or compares it with the output of the program, by the
// first line of the block. "" is for a picture.
var blockTests = map[string]map[string]string{
	house.README: {
		"  A client at 203.0.113.10 connects to 192.0.2.2, the address of eth1. The default route in main is by eth0.": "",
		"(b) A LAN host behind DNAT":         "TestDemoShowsTheBrokenRepliesAndTheRepair",
		"  asking the same 16 questions ...": "TestDemoShowsTheBrokenRepliesAndTheRepair",
		"[uplinks.fibre]":                    "TestREADMEHasTheConfigurationOfTheKernelPage",
		"kernel    in sync since 2026-03-04 09:00:00: 58 changes in 311 rounds": "TestREADMEShowsStatusOutput",
	},
	house.Configuration: {
		"[endpoint]":      "TestDocumentedEndpointIsProtected",
		"[outbound]":      "TestDocumentedPolicyIsPlanned",
		"[udp]":           "TestTheTableOfThePageHelpsServers",
		"[intercept.web]": "TestHAProxyOfThePageIntercepts",
		"defaults":        "TestHAProxyOfThePageIntercepts",
		"server {":        "TestNginxOfThePageConnectsAsItsClients",
	},
	house.Kernel: {
		"[uplinks.fibre]":                 "TestKernelPageShowsTheExactPlan",
		"ip link set dev eth0 group 8200": "TestKernelPageShowsTheExactPlan",
		"nft 'add table inet replypath'":  "TestKernelPageShowsTheExactPlan",
	},
	house.Pair:  {"                 ISP 1                    ISP 2": ""},
	house.Proof: {"$ sudo replypath verify": "TestProofPageShowsVerifyOutput"},
}

// codeBlocks matches a block of code: its language, and its content.
var codeBlocks = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// Each block has a test. Those of shell are all typed, line by line, by TestDocumentedCommandsWork, which fails for a line
// that it does not know; indented lines are for developers.
func TestEveryBlockHasATest(t *testing.T) {
	var tests []string
	for _, s := range house.Sources(t) {
		for _, d := range s.File.Decls {
			if f, is := d.(*ast.FuncDecl); is {
				tests = append(tests, f.Name.Name)
			}
		}
	}
	for _, page := range house.Documents(t) {
		text := house.ReadDocument(t, page)
		var found []string
		for _, m := range codeBlocks.FindAllStringSubmatch(text, -1) {
			first, _, _ := strings.Cut(m[2], "\n")
			test, known := blockTests[page][first]
			if m[1] == "sh" {
				test, known = "TestDocumentedCommandsWork", true
			}
			switch {
			case !known:
				t.Errorf("%s: no test for the block that begins with %q", page, first)
			case test != "" && !slices.Contains(tests, test):
				t.Errorf("%s: there is no %s for the block that begins with %q", page, test, first)
			}
			found = append(found, first)
		}
		for first := range blockTests[page] {
			if !slices.Contains(found, first) {
				t.Errorf("%s has no block that begins with %q", page, first)
			}
		}
	}
}

func TestDocumentedMakeTargetsExist(t *testing.T) {
	targets := 0
	for _, page := range house.Documents(t) {
		text := codeBlocks.ReplaceAllString(house.ReadDocument(t, page), "")
		for _, m := range regexp.MustCompile("(?m)^    (.*)$|`(make [a-z-]+)").FindAllStringSubmatch(text, -1) {
			target, is := strings.CutPrefix(m[1]+m[2], "make ")
			targets++
			if out, err := exec.Command("make", "-n", "-C", house.Top, target).CombinedOutput(); !is || err != nil {
				t.Errorf("%s: %q: %v\n%s", page, m[0], err, out)
			}
		}
	}
	if targets < 8 {
		t.Errorf("only %d targets", targets)
	}
}

// headingAnchor removes what an anchor of a heading does not have.
var headingAnchor = regexp.MustCompile("[^a-z0-9 _-]")

// A link leads to a file of the repository, and its anchor to a heading there.
func TestLinksLeadSomewhere(t *testing.T) {
	links := 0
	for _, page := range append(house.Documents(t), "etc/status.md", "etc/recipes.md") {
		for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(house.ReadDocument(t, page), -1) {
			links++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(filepath.Dir(page), file)
			if file == "" {
				target = page
			}
			if _, err := os.Stat(filepath.Join(house.Top, target)); err != nil {
				t.Errorf("%s: %s: %v", page, m[1], err)
				continue
			}
			var anchors []string
			if anchor != "" {
				for _, h := range regexp.MustCompile("(?m)^#+ (.*)$").FindAllStringSubmatch(house.ReadDocument(t, target), -1) {
					anchors = append(anchors, strings.ReplaceAll(headingAnchor.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
				}
			}
			if anchor != "" && !slices.Contains(anchors, anchor) {
				t.Errorf("%s: %s: no such heading among %q", page, m[1], anchors)
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links", links)
	}
}

func TestREADMEIsShort(t *testing.T) {
	if n := strings.Count(house.ReadDocument(t, house.README), "\n"); n > 250 {
		t.Errorf("%d lines, want at most 250", n)
	}
}

// The only blocks of the manual pages are those of the documents, which have tests.
func TestManualPagesHaveNoUntestedBlocks(t *testing.T) {
	all, err := parseScenes(string(etc.Recipes))
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]int{"5": 0, "8": 0, "status": 0}
	for _, s := range all {
		blocks["recipes"] += len(s.blocks)
	}
	for name, page := range map[string]string{"kernel": house.Kernel, "proof": house.Proof, "doctor": house.Doctor} {
		blocks[name] = len(codeBlocks.FindAllString(house.ReadDocument(t, page), -1))
	}
	for name, want := range blocks {
		page, err := exec.Command(box.Binary, "man", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(page), "\n.nf\n"); got != want {
			t.Errorf("man %s has %d blocks, want %d", name, got, want)
		}
	}
}
