package main

import "testing"

func TestColoursAreForTerminalsOnly(t *testing.T) {
	if got := (paint{on: true}).good("ok  "); got != "\x1b[32mok  \x1b[0m" {
		t.Errorf("on a terminal: %q", got)
	}
	if got := (paint{}).good("ok  "); got != "ok  " {
		t.Errorf("elsewhere: %q", got)
	}
}
