package house

import (
	"os"
	"testing"
)

const README = "../../README.md"

func ReadREADME(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(README)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
