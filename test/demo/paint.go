package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// paint colours text, on a terminal.
type paint struct{ on bool }

// newPaint returns a paint with colours when the output is a terminal that has them and NO_COLOR is unset (no-color.org).
func newPaint(out *os.File) paint {
	_, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	return paint{err == nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p paint) good(s string) string { return p.wrap("32", s) }
func (p paint) bad(s string) string  { return p.wrap("31", s) }
func (p paint) bold(s string) string { return p.wrap("1", s) }

func (p paint) wrap(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
