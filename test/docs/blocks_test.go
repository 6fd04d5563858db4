package docs

import (
	"go/ast"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/etc"
	"replypath/test/box"
	"replypath/test/house"
)

// blockTests names, by its first line, the test that runs a block of the README, or compares it with what the program says.
var blockTests = map[string]string{
	"  client 203.0.113.10 asks 192.0.2.2, the address of eth1; main's default route is by eth0": "", // a picture
	"(b) A LAN host behind DNAT":         "TestDemoShowsTheBrokenRepliesAndTheRepair",
	"  asking the same 16 questions ...": "TestDemoShowsTheBrokenRepliesAndTheRepair",
	"[uplinks.fibre]":                    "TestREADMEShowsTheExactPlan",
	"ip link set dev eth0 group 8200":    "TestREADMEShowsTheExactPlan",
	"kernel    in sync since 2026-03-04 09:00:00: 58 changes in 311 rounds": "TestREADMEShowsStatusOutput",
	"[endpoint]":              "TestREADMEEndpointIsProtected",
	"$ sudo replypath verify": "TestREADMEShowsVerifyOutput",
}

// codeBlocks are around blocks: the language, and what is between.
var codeBlocks = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// TestEveryREADMEBlockHasATest wants a test for each. Those of shell are all typed, line by line, by
// TestREADMECommandsWork, which knows no others; what stands indented is for who works on the program.
func TestEveryREADMEBlockHasATest(t *testing.T) {
	text := house.ReadREADME(t)
	var tests, met []string
	for _, s := range house.Sources(t) {
		for _, d := range s.File.Decls {
			if f, is := d.(*ast.FuncDecl); is {
				tests = append(tests, f.Name.Name)
			}
		}
	}
	for _, m := range codeBlocks.FindAllStringSubmatch(text, -1) {
		first, _, _ := strings.Cut(m[2], "\n")
		runner, known := blockTests[first]
		if m[1] == "sh" {
			runner, known = "TestREADMECommandsWork", true
		}
		switch {
		case !known:
			t.Errorf("no test runs the block that begins with %q", first)
		case runner != "" && !slices.Contains(tests, runner):
			t.Errorf("there is no %s to run the block that begins with %q", runner, first)
		}
		met = append(met, first)
	}
	for first := range blockTests {
		if !slices.Contains(met, first) {
			t.Errorf("the README has no block that begins with %q", first)
		}
	}
	developers := regexp.MustCompile(`(?m)^    (.*)$`).FindAllStringSubmatch(codeBlocks.ReplaceAllString(text, ""), -1)
	if len(developers) < 4 {
		t.Errorf("only %v", developers)
	}
	for _, m := range developers {
		target, is := strings.CutPrefix(m[1], "make ")
		if out, err := exec.Command("make", "-n", "-C", "../..", target).CombinedOutput(); !is || err != nil {
			t.Errorf("%q: %v\n%s", m[0], err, out)
		}
	}
}

// The manual pages have no blocks but those of the recipes and the sample, which are run, and compared, by tests.
func TestManualPagesHaveNoUntestedBlocks(t *testing.T) {
	page := func(section string) string {
		out, err := exec.Command(box.Binary, "man", section).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	all, err := parseScenes(string(etc.Recipes))
	if err != nil {
		t.Fatal(err)
	}
	recipes := 0
	for _, s := range all {
		recipes += len(s.blocks)
	}
	for section, want := range map[string]int{"5": 1, "7": recipes, "8": 0} {
		if got := strings.Count(page(section), "\n.nf\n"); got != want {
			t.Errorf("section %s has %d blocks, want %d", section, got, want)
		}
	}
}
