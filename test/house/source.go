package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// doubles are for tests alone.
var doubles = []string{"marks/markstest", "uplinks/uplinkstest", "health/healthtest", "test"}

// Source is a Go file of this module.
type Source struct {
	path, Dir string // from the top
	Test      bool   // a test, or what is for tests alone
	File      *ast.File
	fset      *token.FileSet
}

// Sources parses every Go file of this module, but for those in testdata. The calling test runs two folders below its top.
func Sources(t *testing.T) (all []Source) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "../.." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("../..", path)
		s := Source{path: name, Dir: filepath.Dir(name), File: file, fset: fset}
		s.Test = strings.HasSuffix(name, "_test.go") || within(s.Dir, doubles)
		all = append(all, s)
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	return all
}

// Text returns the program's Go source below a folder, as one text.
func Text(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, s := range Sources(t) {
		if !s.Test && within(s.Dir, []string{dir}) {
			text, err := os.ReadFile(filepath.Join("../..", s.path))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

// Within reports whether the file lies in a folder or below it.
func (s Source) Within(dir string) bool { return within(s.Dir, []string{dir}) }

// within reports whether the folder is one of these or lies in one.
func within(dir string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return dir == f || strings.HasPrefix(dir, f+"/") })
}

func (s Source) imports() (all []string) {
	for _, spec := range s.File.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		all = append(all, path)
	}
	return all
}

// At returns the position of a node of the file.
func (s Source) At(n ast.Node) token.Position { return s.fset.Position(n.Pos()) }
