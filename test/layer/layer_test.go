package layer_test

import (
	"os"
	"slices"
	"testing"

	"replypath/test/layer"
	"replypath/test/world"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

func TestLowerDirectoryStaysUnchanged(t *testing.T) {
	below := t.TempDir()
	if err := os.WriteFile(below+"/there", []byte("as it was"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(below+"/old", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Run("a test", func(t *testing.T) {
		l := layer.Over(t, below)
		l.Write("/there", "changed")
		l.Write("/deep/new", "new")
		for path, want := range map[string]string{l.Root + "/there": "changed", l.Upper + "/deep/new": "new", below + "/there": "as it was"} {
			if got, err := os.ReadFile(path); string(got) != want {
				t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
			}
		}
		if err := os.Remove(l.Root + "/old"); err != nil {
			t.Error(err)
		}
		if got := l.Written(); !slices.Equal(got, []string{"/deep/new", "/old", "/there"}) {
			t.Errorf("written is %v", got)
		}
	})
	if entries, err := os.ReadDir(below); err != nil || len(entries) != 2 {
		t.Errorf("below there is now %v, %v", entries, err)
	}
}
