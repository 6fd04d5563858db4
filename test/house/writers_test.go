package house

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	host     = "cmd/internal/host"
	prover   = "cmd/internal/prover"
	newBatch = "uplinks/rtnl.NewBatch"
)

// writers lists the functions and types by which the program writes to the kernel, or opens what does, and the folders that may use
// them. The service's loop and the commands reach nearly all of them through cmd/internal/host. The others are the exceptions that
// etc/doc/architecture.md names.
var writers = map[string][]string{
	newBatch:                                 {host}, // rules, routes, link groups, neighbour entries
	"uplinks/procfs.Write":                   {host, "cmd/internal/doctor/survey"},
	"uplinks/rtnl.ConnectionWriter":          {host},
	"uplinks/rtnl.DeleteConnections":         {host, prover},
	"uplinks/rtnl.DeleteTranslated":          {host},
	"uplinks/rtnl.DestroyTCPSockets":         {host},
	"uplinks/rtnl.MarkConnection":            {"cmd/internal/daemon"},
	"uplinks/rtnl.OpenNeighbourTable":        {host, "cmd/internal/daemon", prover},
	"uplinks/rtnl.ResolveNeighbours":         {host, prover},
	"marks/iptables.Open":                    {host},
	"marks/nftables.New":                     {host},
	"marks/nftables.Backup":                  {host},
	"marks/flowtable.Set":                    {host},
	"marks/flowtable.Delete":                 {host},
	"marks/routercounters.Set":               {host},
	"marks/routercounters.Delete":            {host},
	"marks/nftnl.Open":                       {"marks/nftables", "marks/flowtable", "marks/routercounters", "health/proof/capture"},
	"marks/nftnl.ReplaceTable":               {"marks/flowtable", "marks/routercounters"},
	"marks/nftnl.DeleteTable":                {"marks/flowtable", "marks/routercounters"},
	"cmd/internal/bpf.OpenUDP":               {host},
	"cmd/internal/bpf.OpenEgressFilters":     {host},
	"cmd/internal/bpf.OpenRouterClassifiers": {host},
	"cmd/internal/bpf.OpenHierarchy":         {"cmd/replypath"},
	"health/proof/capture.Open":              {prover},
	"health/proof/inject.Open":               {prover, "cmd/internal/daemon", "cmd/internal/doctor/survey"},
}

func TestOnlyKnownPackagesWriteToTheKernel(t *testing.T) {
	found := map[string]bool{}
	for _, s := range Sources(t) {
		if s.Test {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			selector, is := n.(*ast.SelectorExpr)
			if !is {
				return true
			}
			writer, is := s.writer(selector)
			if !is {
				return true
			}
			if !slices.Contains(writers[writer], s.Dir) {
				t.Errorf("%s uses %s: only %v may", s.At(n), writer, writers[writer])
			}
			found[writer+" in "+s.Dir] = true
			return true
		})
	}
	for writer, folders := range writers {
		for _, folder := range folders {
			if use := writer + " in " + folder; !found[use] {
				t.Errorf("there is no %s: the list is stale", use)
			}
		}
	}
}

// writer returns the writer that the selector may mean: a function or type by the name of its package, or the method NewBatch, which has
// no namesake.
func (s Source) writer(selector *ast.SelectorExpr) (writer string, is bool) {
	name := selector.Sel.Name
	if name == "NewBatch" {
		return newBatch, s.Dir != "uplinks/rtnl"
	}
	qualifier, is := selector.X.(*ast.Ident)
	if !is {
		return "", false
	}
	for _, spec := range s.File.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		folder, ours := strings.CutPrefix(imported, "replypath/")
		called := path.Base(folder)
		if spec.Name != nil {
			called = spec.Name.Name
		}
		writer = folder + "." + name
		if _, known := writers[writer]; ours && known && called == qualifier.Name {
			return writer, true
		}
	}
	return "", false
}
