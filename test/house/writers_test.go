package house

import (
	"go/ast"
	"slices"
	"testing"
)

// writers lists the calls that write to the kernel, each with the folders that may make it. The service's loop and the
// command apply reach all of them through cmd/internal/host; doctor --fix sets one sysctl, and a proof deletes the
// connections that it has begun.
var writers = map[string][]string{
	"NewBatch":          {"cmd/internal/host"},
	"Write":             {"cmd/internal/host", "cmd/internal/doctor/survey"},
	"DeleteConnections": {"cmd/internal/prover"},
}

// packagesOfWriters are where those calls are declared: a method or function of the same name elsewhere writes something else.
var packagesOfWriters = map[string]string{"NewBatch": "uplinks/rtnl", "Write": "uplinks/procfs", "DeleteConnections": "uplinks/rtnl"}

func TestOnlyKnownPackagesWriteToTheKernel(t *testing.T) {
	found := map[string]bool{}
	for _, s := range Sources(t) {
		if s.Test || s.Dir == "uplinks/rtnl" || s.Dir == "uplinks/procfs" {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			selector, is := n.(*ast.SelectorExpr)
			if !is || !s.mayMean(selector) {
				return true
			}
			folders := writers[selector.Sel.Name]
			if !slices.Contains(folders, s.Dir) {
				t.Errorf("%s calls %s: only %v may", s.At(n), selector.Sel.Name, folders)
			}
			found[selector.Sel.Name] = true
			return true
		})
	}
	for name := range writers {
		if !found[name] {
			t.Errorf("nothing calls %s: the list is stale", name)
		}
	}
}

// mayMean reports whether the selector may be one of the writers: a function by its package's name, or the method NewBatch,
// which has no namesake.
func (s Source) mayMean(selector *ast.SelectorExpr) bool {
	name := selector.Sel.Name
	if _, known := writers[name]; !known {
		return false
	}
	if name == "NewBatch" {
		return true
	}
	qualifier, is := selector.X.(*ast.Ident)
	path := "replypath/" + packagesOfWriters[name]
	return is && slices.Contains(s.imports(), path) && qualifier.Name == path[len("replypath/uplinks/"):]
}
