package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// paint colours words on a terminal, and leaves them alone elsewhere.
type paint struct{ on bool }

func newPaint(out io.Writer) paint {
	return paint{isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(out any) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (p paint) good(s string) string { return p.wrap("32", s) }
func (p paint) poor(s string) string { return p.wrap("33", s) }
func (p paint) bad(s string) string  { return p.wrap("31", s) }
func (p paint) bold(s string) string { return p.wrap("1", s) }

func (p paint) wrap(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
