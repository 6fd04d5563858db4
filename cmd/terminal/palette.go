// Package terminal detects terminals and colours text for them.
package terminal

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Palette colours text with ANSI escape sequences (ECMA-48) if it is enabled, and otherwise returns it unchanged.
type Palette struct{ Enabled bool }

// NewPalette returns a Palette that is enabled if out is a terminal with colours and NO_COLOR is unset (no-color.org).
func NewPalette(out io.Writer) Palette {
	return Palette{IsTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// IsTerminal reports whether f is an *os.File of a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// Green colours text green.
func (p Palette) Green(s string) string { return p.escape("32", s) }

// Yellow colours text yellow.
func (p Palette) Yellow(s string) string { return p.escape("33", s) }

// Red colours text red.
func (p Palette) Red(s string) string { return p.escape("31", s) }

// Bold sets text in bold.
func (p Palette) Bold(s string) string { return p.escape("1", s) }

func (p Palette) escape(code, s string) string {
	if !p.Enabled {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
