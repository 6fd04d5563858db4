package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheManualTellsEveryCommandAndOption(t *testing.T) {
	var page bytes.Buffer
	if code := run(t.Context(), []string{"man", "8"}, &page, &page); code != done {
		t.Fatalf("exit %d: %s", code, page.String())
	}
	told := strings.ReplaceAll(page.String(), `\-`, "-")
	d := described((&program{}).root())
	for _, c := range d.Commands {
		if !strings.Contains(told, `\fB`+c.Usage+`\fR`) {
			t.Errorf("the command %q is not told", c.Usage)
		}
		for _, o := range c.Options {
			if !strings.Contains(told, `\fB`+o.Usage+`\fR`) {
				t.Errorf("the option %q of %q is not told", o.Usage, c.Usage)
			}
		}
	}
	if len(d.Commands) < 8 || strings.Contains(told, "guard") {
		t.Errorf("commands: %v", d.Commands)
	}
}
