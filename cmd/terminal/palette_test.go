package terminal

import (
	"bytes"
	"os"
	"testing"
)

func TestPaletteColoursOnlyIfEnabled(t *testing.T) {
	if got := (Palette{Enabled: true}).Green("ok  "); got != "\x1b[32mok  \x1b[0m" {
		t.Errorf("enabled: %q", got)
	}
	if got := (Palette{}).Green("ok  "); got != "ok  " {
		t.Errorf("disabled: %q", got)
	}
}

func TestPaletteIsDisabledWithoutATerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if NewPalette(null).Enabled || NewPalette(&bytes.Buffer{}).Enabled {
		t.Error("enabled for a file that is not a terminal, or for a buffer")
	}
}
