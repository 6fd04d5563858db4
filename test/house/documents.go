package house

import (
	"os"
	"path/filepath"
	"testing"
)

// Documents of the repository, by their paths from its top.
const (
	README        = "README.md"
	Architecture  = "etc/doc/architecture.md"
	Commands      = "etc/doc/commands.md"
	Configuration = "etc/doc/configuration.md"
	Doctor        = "etc/doc/doctor.md"
	Kernel        = "etc/doc/kernel.md"
	Pair          = "etc/doc/pair.md"
	Proof         = "etc/doc/proof.md"
)

// Top is the path of the repository from a test package.
const Top = "../.."

// ReadDocument returns the text of a document, given by its path from the top.
func ReadDocument(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Top, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Documents returns the paths of README.md and of all pages in etc/doc, in alphabetical order.
func Documents(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(Top, "etc/doc/*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages in etc/doc, %v", len(pages), err)
	}
	all := []string{README}
	for _, p := range pages {
		all = append(all, "etc/doc/"+filepath.Base(p))
	}
	return all
}
