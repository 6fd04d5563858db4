package killed

import (
	"fmt"
	"os"
	"testing"

	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
)

// A process that is killed after any write for the programs of [udp], or for their end, leaves what the next one completes or removes,
// and flush removes.
func TestKillAtAnyWriteOfUDPPrograms(t *testing.T) {
	group := world.MakeCgroup(t)
	world.MountBPF(t)
	for _, backend := range []marks.Backend{marks.NFT, marks.Legacy, marks.Nftables} {
		for name, before := range map[string]bool{"they are attached": false, "they are detached": true} {
			t.Run(fmt.Sprintf("%s %s", backend, name), func(t *testing.T) {
				s := newConnectedHost(t, backend)
				with := func(on bool) uplinks.Settings {
					all := s.settings(2)
					if on {
						all.UDP = &uplinks.UDPAnswers{Entries: 128, Cgroup: group}
					}
					return all
				}
				next := []func(when string){
					func(when string) { s.sync(with(true)); wantPins(t, when+", and attached", true) },
					func(when string) { s.sync(with(false)); wantPins(t, when+", and detached", false) },
					func(when string) { s.flush(when); wantPins(t, when+", and flushed", false) },
				}
				writes := 0
				for killed := true; killed; writes++ {
					s.sync(with(before))
					if !before {
						s.sync(s.settings(1)) // the address of the second uplink comes with the programs
					}
					killed = s.kill(writes, with(!before))
					next[writes%len(next)](fmt.Sprintf("killed after %d writes", writes))
				}
				s.flush("in the end")
				wantPins(t, "in the end", false)
				t.Logf("killed at each of %d writes", writes-1)
			})
		}
	}
}

// wantPins wants programs in the BPF file system, or none.
func wantPins(t *testing.T, when string, wanted bool) {
	t.Helper()
	if _, err := os.Stat("/sys/fs/bpf/replypath"); (err == nil) != wanted {
		t.Errorf("%s: programs are pinned: %t, want %t", when, err == nil, wanted)
	}
}
