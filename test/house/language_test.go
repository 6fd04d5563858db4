package house

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const (
	maxFileLines     = 300
	maxFunctionLines = 60
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, s := range Sources(t) {
		if lines := s.fset.File(s.File.Pos()).LineCount(); lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d are allowed", s.path, lines, maxFileLines)
		}
		for _, d := range s.File.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if lines := s.fset.Position(f.End()).Line - s.At(f).Line + 1; lines > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d are allowed", s.At(f), f.Name.Name, lines, maxFunctionLines)
			}
		}
	}
}

// notVerbs are second words of comments that define a function as a noun instead of saying what it does.
var notVerbs = []string{"is", "are", "was", "were", "has", "have", "can", "may", "must"}

func TestCommentsOfFunctionsBeginWithAVerb(t *testing.T) {
	for _, s := range Sources(t) {
		for _, d := range s.File.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Doc == nil {
				continue
			}
			words := strings.Fields(f.Doc.Text())
			if len(words) > 1 && words[0] == f.Name.Name && slices.Contains(notVerbs, words[1]) {
				t.Errorf("%s: the comment begins with %q: begin with what the function does (returns, reports, writes)", s.At(f), words[0]+" "+words[1])
			}
		}
	}
}

// pictures are words that stand for a term of the field, which is to be used instead.
var pictures = []string{
	"tumult", "upheaval", "upheavals", "glance", "sentry", "lobby", "crowd", "guest", "guests", "witness", "witnesses", "testimony", "convict",
	"rehabilitate", "ballot", "judge", "judgement", "keeper", "restraint", "stir", "stirred", "nudge", "asker", "askers", "inquiry", "sighting",
	"bait", "happenings", "somebody", "whoever", "everybody", "rival", "rivals", "expecter", "told", "tally", "tallies",
}

func TestNamesAreTermsOfTheField(t *testing.T) {
	for _, s := range Sources(t) {
		ast.Inspect(s.File, func(n ast.Node) bool {
			name, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			for _, word := range splitName(name.Name) {
				if slices.Contains(pictures, word) {
					t.Errorf("%s: %s contains %q", s.At(name), name.Name, word)
				}
			}
			return true
		})
		for _, group := range s.File.Comments {
			for _, word := range strings.FieldsFunc(strings.ToLower(group.Text()), func(r rune) bool { return !unicode.IsLetter(r) }) {
				if slices.Contains(pictures, word) {
					t.Errorf("%s: a comment contains %q", s.At(group), word)
				}
			}
		}
	}
}

// splitName splits an identifier into its words, in lower case.
func splitName(name string) (words []string) {
	start := 0
	runes := []rune(name)
	for i := 1; i <= len(runes); i++ {
		if i == len(runes) || runes[i] == '_' || unicode.IsUpper(runes[i]) && !unicode.IsUpper(runes[i-1]) {
			words = append(words, strings.ToLower(strings.Trim(string(runes[start:i]), "_")))
			start = i
		}
	}
	return words
}
