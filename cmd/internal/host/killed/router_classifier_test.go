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
			s.killAtAnyWriteOfPrograms(t, before, shared, func() {})
		})
	}
}
