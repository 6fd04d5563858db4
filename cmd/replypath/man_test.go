package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestManualListsEveryCommandAndOption(t *testing.T) {
	var page bytes.Buffer
	if code := run(t.Context(), []string{"man", "8"}, &page, &page); code != exitOK {
		t.Fatalf("exit %d: %s", code, page.String())
	}
	text := strings.ReplaceAll(page.String(), `\-`, "-")
	d := describeProgram((&program{}).rootCommand())
	for _, c := range d.Commands {
		if !strings.Contains(text, `\fB`+c.Usage+`\fR`) {
			t.Errorf("the page lacks the command %q", c.Usage)
		}
		for _, o := range c.Options {
			if !strings.Contains(text, `\fB`+o.Usage+`\fR`) {
				t.Errorf("the page lacks the option %q of %q", o.Usage, c.Usage)
			}
		}
	}
	if len(d.Commands) < 8 || strings.Contains(text, "guard") {
		t.Errorf("commands: %v", d.Commands)
	}
}
