package killed

import (
	"fmt"
	"os"
	"testing"

	"replypath/uplinks"
)

// killAtAnyWriteOfPrograms kills changes to settings with BPF programs, or from them, after each of their writes, and wants the next
// process to complete or to remove what that leaves, and flush to remove it. before says whether there are programs before the change;
// prepare runs between these and the change.
func (s *connectedHost) killAtAnyWriteOfPrograms(t *testing.T, before bool, with func(programs bool) uplinks.Settings, prepare func()) {
	t.Helper()
	next := []func(when string){
		func(when string) { s.sync(with(true)); wantPins(t, when+", and set", true) },
		func(when string) { s.sync(with(false)); wantPins(t, when+", and removed", false) },
		func(when string) { s.flush(when); wantPins(t, when+", and flushed", false) },
	}
	writes := 0
	for killed := true; killed; writes++ {
		s.sync(with(before))
		wantPins(t, "before", before)
		prepare()
		killed = s.kill(writes, with(!before))
		next[writes%len(next)](fmt.Sprintf("killed after %d writes", writes))
	}
	s.flush("in the end")
	wantPins(t, "in the end", false)
	t.Logf("killed at each of %d writes", writes-1)
}

// wantPins wants programs in the BPF file system, or none.
func wantPins(t *testing.T, when string, wanted bool) {
	t.Helper()
	if _, err := os.Stat("/sys/fs/bpf/replypath"); (err == nil) != wanted {
		t.Errorf("%s: programs are pinned: %t, want %t", when, err == nil, wanted)
	}
}
