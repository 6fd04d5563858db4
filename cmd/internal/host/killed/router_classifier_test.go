package killed

import (
	"fmt"
	"testing"

	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
)

// A process that is killed after any write of a change that sets a classifier at ingress, or removes it, leaves what the next one
// completes or removes, and flush removes.
func TestKillAtAnyWriteOfClassifiers(t *testing.T) {
	world.MountBPF(t)
	for backend, before := range map[marks.Backend]bool{marks.NFT: false, marks.Legacy: true, marks.Nftables: false} {
		t.Run(fmt.Sprintf("%s, there before: %t", backend, before), func(t *testing.T) {
			s := newConnectedHost(t, backend)
			shared := func(on bool) uplinks.Settings {
				all := s.settings(2)
				if on {
					second := all.Uplinks[1]
					second.Name, second.ID = "second", 3
					second.Gateway4.Addr, second.Gateway6.Addr = second.Gateway4.Addr.Next().Next(), second.Gateway6.Addr.Next().Next()
					all.Uplinks = append(all.Uplinks, second)
				}
				return all
			}
			next := []func(when string){
				func(when string) { s.sync(shared(true)); wantPins(t, when+", and set", true) },
				func(when string) { s.sync(shared(false)); wantPins(t, when+", and removed", false) },
				func(when string) { s.flush(when); wantPins(t, when+", and flushed", false) },
			}
			writes := 0
			for killed := true; killed; writes++ {
				s.sync(shared(before))
				wantPins(t, "before", before)
				killed = s.kill(writes, shared(!before))
				next[writes%len(next)](fmt.Sprintf("killed after %d writes", writes))
			}
			s.flush("in the end")
			wantPins(t, "in the end", false)
			t.Logf("killed at each of %d writes", writes-1)
		})
	}
}
