package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// palette colours text with ANSI escape sequences if on is set.
type palette struct{ on bool }

// newPalette returns a palette with colours if out is a terminal and the environment allows them (no-color.org).
func newPalette(out io.Writer) palette {
	return palette{isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(out any) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (p palette) green(s string) string  { return p.escape("32", s) }
func (p palette) yellow(s string) string { return p.escape("33", s) }
func (p palette) red(s string) string    { return p.escape("31", s) }
func (p palette) bold(s string) string   { return p.escape("1", s) }

func (p palette) escape(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
