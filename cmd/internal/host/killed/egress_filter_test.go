package killed

import (
	"fmt"
	"testing"

	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
)

// A process that is killed after any write of a change that sets filters at egress, or removes them, leaves what the next one completes
// or removes, and flush removes.
func TestKillAtAnyWriteOfEgressFilters(t *testing.T) {
	world.MountBPF(t)
	for _, backend := range []marks.Backend{marks.NFT, marks.Legacy, marks.Nftables} {
		for name, before := range map[string]bool{"they are set": false, "they are removed": true} {
			t.Run(fmt.Sprintf("%s %s", backend, name), func(t *testing.T) {
				s := newConnectedHost(t, backend)
				with := func(on bool) uplinks.Settings {
					all := s.settings(2)
					all.Outbound = uplinks.Outbound{Default: "eth0", Masquerade: uplinks.MasqueradeOff, Policies: []uplinks.Policy{policyOf("eth0", false, "eth0")}}
					if on {
						all.Outbound.Masquerade = uplinks.MasqueradeBoth
					}
					return all
				}
				s.killAtAnyWriteOfPrograms(t, before, with, func() {})
			})
		}
	}
}
