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
				next := []func(when string){
					func(when string) { s.sync(with(true)); wantPins(t, when+", and set", true) },
					func(when string) { s.sync(with(false)); wantPins(t, when+", and removed", false) },
					func(when string) { s.flush(when); wantPins(t, when+", and flushed", false) },
				}
				writes := 0
				for killed := true; killed; writes++ {
					s.sync(with(before))
					wantPins(t, "before", before)
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
