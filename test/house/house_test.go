package house

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// owners lists the folders that may import a library. A library that is missing here needs a reason.
var owners = map[string][]string{
	"github.com/vishvananda/netlink":           {"uplinks/rtnl", "test"},
	"github.com/vishvananda/netns":             {"test"},
	"github.com/coreos/go-iptables":            {"marks/iptables"},
	"github.com/coreos/go-systemd":             {"cmd/internal/daemon"},
	"github.com/BurntSushi/toml":               {"cmd/internal/config"},
	"github.com/spf13/cobra":                   {"cmd/replypath"},
	"github.com/spf13/pflag":                   {"cmd/replypath"},
	"github.com/prometheus-community/pro-bing": {"health/probe/icmp"},
	"github.com/google/uuid":                   {"health/probe/icmp"},
	"github.com/prometheus":                    {"health/endpoint"},
	"github.com/cilium/ebpf":                   {"health", "cmd/internal/bpf", "test"},
	"github.com/rogpeppe/go-internal":          {"test"},
	"github.com/chromedp":                      {"test/page"},
	"github.com/quic-go":                       {"test/answer"},
	"github.com/google/go-cmp":                 {"test", "uplinks/uplinkstest", "marks/markstest"},
	"golang.org/x/sync":                        {"cmd", "health"},
	"golang.org/x/sys":                         {"cmd", "marks/netfilter", "marks/nftables", "marks/nftnl", "marks/flowtable", "marks/routercounters", "marks/foreign", "marks/dnat", "marks/iptables", "uplinks/rtnl", "uplinks/procfs", "health", "test"},
	"golang.org/x/net":                         {"health", "test"},
	"os/exec":                                  {"marks/iptables", "health/hook", "test"},
}

// mayUse lists the folders of this module that a folder may import: itself, or with /... all that lies in it too. Of the folders'
// own names the longest that fits holds. Tests may use more.
var mayUse = map[string][]string{
	"marks":                   {},
	"marks/nlattr":            {},
	"marks/netfilter":         {"marks", "marks/nlattr"},
	"marks/nftnl":             {"marks/netfilter", "marks/nlattr"},
	"marks/nftables":          {"marks", "marks/netfilter", "marks/nftnl", "marks/nlattr"},
	"marks/flowtable":         {"marks", "marks/netfilter", "marks/nftnl", "marks/nlattr"},
	"marks/routercounters":    {"marks", "marks/netfilter", "marks/nftnl", "marks/nlattr"},
	"marks/foreign":           {"marks", "marks/netfilter", "marks/nlattr"},
	"marks/dnat":              {"marks", "marks/netfilter", "marks/foreign", "marks/nlattr"},
	"marks/iptables":          {"marks", "marks/netfilter", "marks/foreign"},
	"marks/markstest":         {"marks"},
	"uplinks":                 {"marks"},
	"uplinks/inspect":         {"uplinks", "marks"},
	"uplinks/rpdb":            {"uplinks"},
	"uplinks/egress":          {},
	"uplinks/snapshot":        {"uplinks", "marks/nlattr"},
	"uplinks/rtnl":            {"uplinks", "uplinks/egress", "uplinks/rpdb", "uplinks/snapshot", "marks", "marks/nlattr"},
	"uplinks/procfs":          {"uplinks", "uplinks/rpdb", "marks"},
	"uplinks/networkd":        {"uplinks", "marks"},
	"uplinks/uplinkstest":     {"uplinks", "marks", "marks/foreign"},
	"health":                  {"uplinks", "uplinks/inspect", "marks"},
	"health/monitor":          {"health", "uplinks"},
	"health/probe":            {"health", "health/probe/...", "uplinks", "uplinks/egress", "marks"},
	"health/proof":            {"health", "health/proof/...", "uplinks", "uplinks/egress", "uplinks/rpdb", "marks", "marks/foreign", "marks/nftnl", "marks/nlattr"},
	"health/trustedfile":      {},
	"health/endpoint":         {"health", "health/trustedfile", "uplinks"},
	"health/hook":             {"health", "health/trustedfile"},
	"health/healthtest":       {},
	"etc":                     {},
	"cmd/internal/atomicfile": {},
	"cmd/internal/bpf":        {},
	"cmd/internal/namespace":  {},
	"cmd/internal/statedir":   {"cmd/internal/atomicfile", "cmd/internal/namespace", "uplinks", "uplinks/rtnl"},
	"cmd/internal/rollback":   {"cmd/internal/statedir", "uplinks", "uplinks/snapshot", "marks"},
	"cmd/internal/control":    {"cmd/internal/namespace", "cmd/internal/statedir", "health"},
	"cmd/internal/systemd":    {"uplinks"},
	"cmd/internal/iproute":    {"cmd/internal/atomicfile", "cmd/internal/namespace", "uplinks", "uplinks/rpdb"},
	"cmd/internal/host":       {"cmd/internal/bpf", "cmd/internal/namespace", "cmd/internal/statedir", "health", "uplinks/...", "marks/..."},
	"cmd/internal/prover":     {"cmd/internal/host", "cmd/internal/iproute", "cmd/internal/systemd", "health", "health/probe/firsthop", "health/proof/...", "uplinks", "uplinks/egress", "uplinks/procfs", "uplinks/rpdb", "uplinks/rtnl", "marks", "marks/dnat", "marks/foreign", "marks/netfilter"},
	"cmd":                     {"cmd/...", "uplinks/...", "marks/...", "health/...", "etc"},
	"test":                    {"test/...", "cmd/...", "uplinks/...", "marks/...", "health/...", "etc"},
}

// longest returns the entry for the longest name that holds the path.
func longest(of map[string][]string, path string) (folders []string, found bool) {
	best := ""
	for name := range of {
		if within(path, []string{name}) && len(name) > len(best) {
			best = name
		}
	}
	return of[best], best != ""
}

func TestEachLibraryHasItsOwner(t *testing.T) {
	for _, s := range Sources(t) {
		for _, library := range s.imports() {
			first, _, _ := strings.Cut(library, "/")
			folders, owned := longest(owners, library)
			switch {
			case library != "os/exec" && !strings.Contains(first, "."):
			case !owned:
				t.Errorf("%s imports %s, which has no owner: add one, and give the reason in the commit", s.path, library)
			case within(s.Dir, folders):
			case strings.HasSuffix(s.path, "_test.go") && slices.Contains([]string{"os/exec", "github.com/google/go-cmp"}, library):
			case strings.HasSuffix(s.path, "_test.go") && slices.Contains(folders, "test"):
			default:
				t.Errorf("%s imports %s: only %v may", s.path, library, folders)
			}
		}
	}
}

func TestImportsFollowTheArchitecture(t *testing.T) {
	for _, s := range Sources(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		folders, known := longest(mayUse, s.Dir)
		if !known {
			t.Errorf("%s is in a folder that has no place in the house", s.path)
		}
		for _, path := range s.imports() {
			ours, is := strings.CutPrefix(path, "replypath/")
			if is && !allowed(ours, folders) {
				t.Errorf("%s imports %s: %s may import %v of ours", s.path, path, s.Dir, folders)
			}
			if is && !s.Test && within(ours, doubles) {
				t.Errorf("%s imports %s, which is for tests alone", s.path, path)
			}
			if path == "testing" && !s.Test {
				t.Errorf("%s imports testing", s.path)
			}
		}
	}
}

func allowed(dir string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		root, all := strings.CutSuffix(f, "/...")
		return dir == f || all && within(dir, []string{root})
	})
}

func TestProductionCodeRunsNoShell(t *testing.T) {
	shells := []string{"sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash", "/usr/bin/env"}
	for _, s := range Sources(t) {
		if s.Test {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, _ := strconv.Unquote(lit.Value); slices.Contains(shells, text) {
					t.Errorf("%s: %s", s.At(n), lit.Value)
				}
			}
			return true
		})
	}
}

func TestNoSkippedTestsAndNoTODO(t *testing.T) {
	later := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:"}
	for _, s := range Sources(t) {
		ast.Inspect(s.File, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				t.Errorf("%s: a test that can skip proves nothing: let it fail, and name the remedy", s.At(n))
			}
			return true
		})
		for _, group := range s.File.Comments {
			for _, word := range later {
				if strings.Contains(group.Text(), word) {
					t.Errorf("%s: %s", s.At(group), word)
				}
			}
		}
	}
}

func TestPackagesAreNamedAfterTheirFolder(t *testing.T) {
	for _, s := range Sources(t) {
		name := strings.TrimSuffix(s.File.Name.Name, "_test")
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "misc", "base", "manager"}, name) {
			t.Errorf("%s: package %s says nothing", s.path, name)
		}
		if want := filepath.Base(s.Dir); name != want && name != "main" {
			t.Errorf("%s: package %s in folder %s", s.path, name, want)
		}
	}
}

func TestTopLevelHasOnlyTheKnownEntries(t *testing.T) {
	allowed := []string{"cmd", "uplinks", "marks", "health", "etc", "test", "go.mod", "go.sum", "Makefile", "README.md"}
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s has no place at the top", e.Name())
		}
	}
}
