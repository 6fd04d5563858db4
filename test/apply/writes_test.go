package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// stateFiles returns those that remember what was found, with their times.
func stateFiles(b *box.Box) string {
	b.T.Helper()
	found, err := filepath.Glob(filepath.Join(b.Dir, "state", "found-*.json"))
	if err != nil {
		b.T.Fatal(err)
	}
	text := ""
	for _, path := range found {
		info, err := os.Stat(path)
		if err != nil {
			b.T.Fatal(err)
		}
		text += fmt.Sprintln(path, info.ModTime(), info.Size())
	}
	return text
}

func TestNothingIsWrittenWhenInSync(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		l := b.StartMonitor()
		l.Messages()
		quiet := func(commands ...string) {
			t.Helper()
			generation, files := b.Generation(), stateFiles(b)
			before := box.TakeSnapshot(b.Gateway)
			for _, command := range commands {
				b.Run(command)
			}
			if messages := l.Messages(); len(messages) != 0 {
				t.Errorf("%v writes: %q", commands, messages)
			}
			if now := b.Generation(); now != generation {
				t.Errorf("%v writes nftables: generation %d, and %d before", commands, now, generation)
			}
			if now := stateFiles(b); now != files {
				t.Errorf("%v writes files: %s, and %s before", commands, now, files)
			}
			delete(before, "rules -4") // the fence's
			before.WantSame(t, fmt.Sprint(commands), b.Gateway)
		}
		quiet("check", "plan", "init", "flush")
		b.Apply()
		if messages := l.Messages(); len(messages) < 20 {
			t.Errorf("the listener is deaf: it heard %d messages of the first apply", len(messages))
		}
		quiet("apply", "plan", "check", "apply")
		b.Must(0, "flush")
		l.Messages()
		quiet("flush", "plan")
	})
}
