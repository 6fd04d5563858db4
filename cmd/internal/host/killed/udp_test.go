package killed

import (
	"fmt"
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
				s.killAtAnyWriteOfPrograms(t, before, with, func() {
					if !before {
						s.sync(s.settings(1)) // the address of the second uplink comes with the programs
					}
				})
			})
		}
	}
}
