package box

import (
	"strings"
	"testing"
)

// Explain runs explain and wants its status, and each of the words in what it prints.
func (b *Box) Explain(t *testing.T, status int, args []string, want ...string) string {
	t.Helper()
	r := b.Run(append([]string{"explain"}, args...)...)
	if r.Status != status {
		t.Errorf("explain %s: want exit %d, got %s", strings.Join(args, " "), status, r)
	}
	for _, w := range want {
		if !strings.Contains(collapseSpaces(r.Stdout+r.Stderr), w) {
			t.Errorf("explain %s does not say %q:\n%s", strings.Join(args, " "), w, r)
		}
	}
	return r.Stdout
}

// collapseSpaces returns the text with every run of spaces as one.
func collapseSpaces(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return strings.Join(lines, "\n")
}
