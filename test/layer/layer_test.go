package layer_test

import (
	"os"
	"testing"

	"replypath/test/layer"
	"replypath/test/world"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

func TestWhatIsBelowStaysAsItIs(t *testing.T) {
	below := t.TempDir()
	if err := os.WriteFile(below+"/there", []byte("as it was"), 0o644); err != nil {
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
	})
	if entries, err := os.ReadDir(below); err != nil || len(entries) != 1 {
		t.Errorf("below there is now %v, %v", entries, err)
	}
}
