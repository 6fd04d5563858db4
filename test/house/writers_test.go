package house

import (
	"go/ast"
	"slices"
	"testing"
)

// writer is a call that writes to the kernel.
type writer struct {
	declared string   // its package: a method or function of the same name elsewhere writes something else
	callers  []string // the folders that may call it
}

// writers lists the calls and types that write to the kernel by their names. The service's loop and the command apply reach all of them
// through cmd/internal/host; doctor --fix sets one sysctl, and a proof deletes the
// connections that it has begun.
var writers = map[string]writer{
	"NewBatch":          {"uplinks/rtnl", []string{"cmd/internal/host"}},
	"Write":             {"uplinks/procfs", []string{"cmd/internal/host", "cmd/internal/doctor/survey"}},
	"DeleteConnections": {"uplinks/rtnl", []string{"cmd/internal/host", "cmd/internal/prover"}},
	"DeleteTranslated":  {"uplinks/rtnl", []string{"cmd/internal/host"}},
	"ConnectionWriter":  {"uplinks/rtnl", []string{"cmd/internal/host"}},
	"DestroyTCPSockets": {"uplinks/rtnl", []string{"cmd/internal/host"}},
}

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
			folders := writers[selector.Sel.Name].callers
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
	path := "replypath/" + writers[name].declared
	return is && slices.Contains(s.imports(), path) && qualifier.Name == path[len("replypath/uplinks/"):]
}
