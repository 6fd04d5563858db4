package doctor

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"replypath/test/house"
)

// findingTests are the tests that make a finding real, of those that are not in a table of symptoms.
var findingTests = map[string]func(*testing.T){
	"conntrack-full":          TestDoctorReportsANearlyFullConntrackTable,
	"default-routes-disagree": TestDoctorReportsDefaultRoutesThatDisagree,
	"doubled-nat":             TestDoctorReportsDoubledAndMissingNAT,
	"nat-exemption":           TestDoctorReportsExemptionsWithoutEffect,
	"foreign-source":          TestDoctorReportsForeignSources,
	"iptables-missing":        TestDoctorReportsMissingIptables,
	"kernel-option":           TestDoctorReportsMissingKernelOptions,
	"mark-bits-connections":   TestDoctorReportsForeignMarksOnConnections,
	"missing-nat":             TestDoctorReportsDoubledAndMissingNAT,
	"multipath-hash":          TestDoctorReportsHowConnectionsAreSpread,
	"networkd-foreign":        TestDoctorReadsHostFiles,
	"probes":                  TestDoctorReportsUplinksWithoutProbes,
	"proof-unavailable":       TestDoctorReportsWildcardUDPServers,
	"rp-filter-refused":       TestDoctorReportsRPFilterDrops,
	"rule-among-policies":     TestDoctorReportsRulesBehindPolicies,
	"rule-behind-policies":    TestDoctorReportsRulesBehindPolicies,
	"same-gateway":            TestDoctorReportsUplinksWithTheSameGateway,
	"saved-ruleset":           TestDoctorReadsHostFiles,
	"udp-server":              TestDoctorReportsWildcardUDPServers,
	"unconfigured":            TestDoctorReportsWhichRepliesStrayWithoutConfiguration,
	"udp-server-unknown":      TestDoctorReportsWildcardUDPServers,
}

// modulesTestFile is the file with tests of what this kernel may not have: make test-modules runs them on one that has it.
const modulesTestFile = "offload_modules_test.go"

// findingTestsElsewhere are the files of other packages whose tests make a finding real: they name it.
var findingTestsElsewhere = map[string]string{
	"intercept-rule":         "../intercept/foreign_recipe_test.go",
	"mark-wiped":             "../intercept/foreign_recipe_test.go",
	"divert-first":           "../intercept/foreign_recipe_test.go",
	"udp-server-helped":      "../answer/reports_test.go",
	"accelerated-unseen":     "acceleration_modules_test.go",
	"mark-of-other-uplink":   "../service/injected_test.go",
	"neighbour-table-full":   "../../cmd/internal/doctor/neighbour_table_test.go",
	"mark-of-removed-uplink": "../outbound/removed_test.go",
	"program-before-ours":    "../outbound/egress_filter_test.go",
	"queue-unread":           "../verify/queue_test.go",
	"redirects-accepted":     "../routers/doctor_test.go",
	"unknown-router":         "../routers/doctor_test.go",
	"same-router":            "../routers/doctor_test.go",
	"unresolved-router":      "../routers/silent_test.go",
}

// hasTest reports whether a test makes the finding real, here or elsewhere.
func hasTest(id, modulesTests string) bool {
	for _, table := range []map[string]findingCase{foreignRuleCases, foreignFirewallCases, sysctlAndLinkCases, egressCases, unmarkedCases, markRuleCases} {
		for _, s := range table {
			if s.id == id {
				return true
			}
		}
	}
	return findingTests[id] != nil || findingTestsElsewhere[id] != "" || strings.Contains(modulesTests, fmt.Sprintf("IsNote, %q", id))
}

// findingIDs returns the names of all kinds of findings that are written in the doctor.
func findingIDs(t *testing.T) []string {
	names := map[string]bool{}
	add := func(s house.Source, value ast.Expr) {
		switch v := value.(type) {
		case *ast.BasicLit:
			names[strings.Trim(v.Value, `"`)] = true
		case *ast.Ident: // what a function is called with
		default:
			t.Errorf("%s: what the finding is called cannot be read", s.At(value))
		}
	}
	for _, s := range house.Sources(t) {
		if s.Test || !s.Within("cmd/internal/doctor") {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, is := n.Key.(*ast.Ident); is && key.Name == "ID" {
					add(s, n.Value)
				}
			case *ast.AssignStmt:
				if field, is := n.Lhs[0].(*ast.SelectorExpr); is && field.Sel.Name == "ID" {
					add(s, n.Rhs[0])
				}
			case *ast.CallExpr:
				if f, is := n.Fun.(*ast.SelectorExpr); is && f.Sel.Name == "markConflicts" {
					add(s, n.Args[0])
				}
			}
			return true
		})
	}
	return slices.Sorted(maps.Keys(names))
}

func TestEveryFindingIsDocumentedAndTested(t *testing.T) {
	page := house.ReadDocument(t, house.Doctor)
	all := findingIDs(t)
	tests, err := os.ReadFile(modulesTestFile)
	if err != nil {
		t.Fatal(err)
	}
	for id, file := range findingTestsElsewhere {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), strconv.Quote(id)) {
			t.Errorf("%s does not name %s: %v", file, id, err)
		}
	}
	for _, name := range all {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("%s does not have %s", house.Doctor, name)
		}
		if !hasTest(name, string(tests)) {
			t.Errorf("no test makes %s real", name)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| (`.*`) \\|").FindAllStringSubmatch(page, -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			if !slices.Contains(all, strings.Trim(name, "`")) {
				t.Errorf("%s has %s, which does not exist", house.Doctor, name)
			}
		}
	}
	if len(all) < 25 {
		t.Errorf("only %d findings: %s", len(all), all)
	}
}
