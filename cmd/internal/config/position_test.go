package config

import (
	"fmt"
	"strings"
	"testing"
)

// The texts mark the expected positions, in order, with « ».
func TestMistakesPointAtTheirText(t *testing.T) {
	tests := []struct{ name, text string }{
		{"a key at the top", "priority = «0»\n«prio» = 1\nuplinks.a = {id = 1, gateway = 'auto'}\n"},
		{"a key in a table", "[uplinks.a]\ngateway='auto'\n\tid\t=\t«99»\t# 99\n«Id» = 1\n"},
		{"a table with blanks in its header", " [ uplinks . «a» ] # a\n gateway = 'auto'\n"},
		{"an inline table", "uplinks={a={id=«99»,«i»=1,'gateway'=«\"id\"»}}\n"},
		{"an inline table over several lines", "uplinks = { # {\n  a = { # id = 99\n    id = «99», # ,\n    gateway = [ # ]\n      «'#'», 'auto', ], } }\n"},
		{"a dotted key in an inline table", "uplinks = { a.id = «99», a . gateway = 'auto', «\"a b\"».id = 2, \"a b\".gateway = 'auto', \"a b\".interface='b' }\n"},
		{"a dotted key", "uplinks.a.gateway = 'auto'\nuplinks . a . id = «99»\nuplinks.a.«gate».way = 1\n"},
		{"a table that follows its probe", "[uplinks.a.probes.dns]\ntarget = 'gateway'\n[uplinks]\n[uplinks.«a»]\nid = «0»\n"},
		{"a table that is implied by its probe", "[uplinks.«a».probes.dns]\ntarget = «''»\n"},
		{"quoted keys", "\"uplinks\".'a'.\"\\u0069d\" = «99»\nuplinks.a.gateway = 'auto'\n"},
		{"text that recurs in comments", "# id = 99\n[uplinks.a]\ngateway = 'auto' # id = 99\n# id = 99\nid = «99» # id = 99\ninterface = «'id = 99'»\n"},
		{"escapes before an element", `uplinks.a = {id = 1, gateway = ["auto", «"\"]"», «'''']'''», «'\'»]}` + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkPositions(t, test.text) })
	}
}

// checkPositions reads the text without its « » and checks that the mistakes are where these were.
func checkPositions(t *testing.T, marked string) {
	t.Helper()
	var want []string
	for n, line := range strings.Split(marked, "\n") {
		for strings.Contains(line, "«") {
			before, rest, _ := strings.Cut(line, "«")
			meant, after, _ := strings.Cut(rest, "»")
			want = append(want, fmt.Sprintf("%d:%d %s", n+1, len(before)+1, meant))
			line = before + meant + after
		}
	}
	s := &source{path: "replypath.toml", text: strings.NewReplacer("«", "", "»", "").Replace(marked)}
	_, mistakes := resolve([]*source{s})
	var got []string
	for _, m := range mistakes {
		at := fmt.Sprintf("%d:%d %s", m.Line, m.Col, m.Source[m.Col-1:m.Col-1+m.Len])
		if len(got) == 0 || got[len(got)-1] != at {
			got = append(got, at)
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("want the positions\n%s\ngot\n%s\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"), mistakes)
	}
}
