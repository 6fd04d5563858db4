package house

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// section returns the text of a document below a heading, up to the next one.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("no heading %q", heading)
	}
	part, _, _ := strings.Cut(rest, "\n## ")
	return part
}

// packageRow matches a row of the map of packages and of the table of arrows.
var packageRow = regexp.MustCompile("(?m)^\\| `([a-z0-9/.]+)` \\| (.*) \\|$")

func TestArchitectureMapHasEveryPackage(t *testing.T) {
	packages, _, _ := strings.Cut(section(t, ReadDocument(t, Architecture), "Packages"), "\nArrows: ")
	var documented []string
	for _, m := range packageRow.FindAllStringSubmatch(packages, -1) {
		documented = append(documented, m[1])
	}
	existing := map[string]bool{}
	for _, s := range Sources(t) {
		existing[s.Dir] = true
	}
	want := slices.Sorted(maps.Keys(existing))
	slices.Sort(documented)
	if !slices.Equal(documented, want) {
		t.Errorf("the map has\n%q\nbut the packages are\n%q", documented, want)
	}
}

func TestArchitectureShowsTheAllowedImports(t *testing.T) {
	_, arrows, _ := strings.Cut(section(t, ReadDocument(t, Architecture), "Packages"), "\nArrows: ")
	documented := map[string][]string{}
	for _, m := range packageRow.FindAllStringSubmatch(arrows, -1) {
		documented[m[1]] = []string{}
		for _, f := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(m[2], -1) {
			documented[m[1]] = append(documented[m[1]], f[1])
		}
	}
	for dir, folders := range mayUse {
		if got, found := documented[dir]; !found || !slices.Equal(got, folders) {
			t.Errorf("%s may import %q, the page says %q", dir, folders, got)
		}
		delete(documented, dir)
	}
	if len(documented) > 0 {
		t.Errorf("only the page has %v", documented)
	}
}

// reference matches a path, and the symbol that is declared there, in a document.
var reference = regexp.MustCompile("`((?:cmd|uplinks|marks|health|etc|test)/[a-zA-Z0-9_/.-]*)(?::([A-Za-z_.]+))?`")

// A symbol of a file is written as path.go:Name or path.go:Type.Method.
func TestReferencesOfTheArchitectureExist(t *testing.T) {
	symbols := map[string]bool{}
	for _, s := range Sources(t) {
		for _, d := range s.File.Decls {
			for _, name := range declaredNames(d) {
				symbols[s.path+":"+name] = true
			}
		}
	}
	references := 0
	for _, m := range reference.FindAllStringSubmatch(ReadDocument(t, Architecture), -1) {
		references++
		path, symbol := strings.TrimSuffix(m[1], "/..."), m[2]
		if _, err := os.Stat(filepath.Join(Top, path)); err != nil {
			t.Errorf("%s: %v", m[0], err)
		} else if symbol != "" && !symbols[path+":"+symbol] {
			t.Errorf("%s declares no %s", path, symbol)
		}
	}
	if references < 150 {
		t.Errorf("only %d references", references)
	}
}

// The service starts a goroutine for each type with a method Run.
func TestArchitectureNamesEveryGoroutine(t *testing.T) {
	table := section(t, ReadDocument(t, Architecture), "Goroutines of the service")
	named := 0
	for _, s := range Sources(t) {
		if s.Dir != "cmd/internal/daemon" || s.Test {
			continue
		}
		for _, d := range s.File.Decls {
			for _, name := range declaredNames(d) {
				if !strings.HasSuffix(name, ".Run") {
					continue
				}
				named++
				if !strings.Contains(table, "`"+s.path+":"+name+"`") {
					t.Errorf("the table of goroutines lacks %s:%s", s.path, name)
				}
			}
		}
	}
	if named < 10 {
		t.Errorf("only %d types of the service have a method Run", named)
	}
}

// declaredNames returns the names that a declaration declares, methods as Type.Method.
func declaredNames(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			receiver := d.Recv.List[0].Type
			if star, is := receiver.(*ast.StarExpr); is {
				receiver = star.X
			}
			if ident, is := receiver.(*ast.Ident); is {
				name = ident.Name + "." + name
			}
		}
		names = append(names, name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				if d.Tok == token.CONST || d.Tok == token.VAR {
					for _, n := range spec.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}
