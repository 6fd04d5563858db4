package house

import (
	"go/ast"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// concurrent are the packages, and the methods and functions, that run goroutines or that only these need.
var concurrent = struct{ packages, functions []string }{
	[]string{"sync", "sync/atomic", "net/http", "net/http/httptest"},
	[]string{"Go", "AfterFunc", "Parallel", "RunParallel"},
}

// goroutines returns where the file has goroutines, empty if it has none.
func (s Source) goroutines() (where string) {
	for _, path := range s.imports() {
		if slices.Contains(concurrent.packages, path) || strings.HasPrefix(path, "golang.org/x/sync/") {
			return s.path + " imports " + path
		}
	}
	ast.Inspect(s.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			where = s.At(n).String()
		case *ast.SelectorExpr:
			if slices.Contains(concurrent.functions, n.Sel.Name) {
				where = s.At(n).String()
			}
		}
		return where == ""
	})
	return where
}

// The race detector makes tests several times slower: make test runs those packages with it that have goroutines.
func TestPackagesWithGoroutinesAreRaced(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{" -race -p 2 $(RACED_FIRST) ", "$$(.ci/raced)\n", "$$(.ci/raced others)\n"} {
		if !strings.Contains(string(makefile), command) {
			t.Errorf("the Makefile has no %q", command)
		}
	}
	out, err := exec.Command("../../.ci/raced").Output()
	if err != nil {
		t.Fatalf(".ci/raced: %v", err)
	}
	raced := strings.Fields(string(out))
	if len(raced) < 10 {
		t.Fatalf(".ci/raced prints %q", raced)
	}
	for _, s := range Sources(t) {
		if where := s.goroutines(); where != "" && !s.Within("test") && !s.Within("cmd/internal/host/killed") && !slices.Contains(raced, "replypath/"+s.Dir) {
			t.Errorf("%s: .ci/raced does not print the package", where)
		}
	}
}
