package daemon

import (
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// pollingKernel records the tunables that are polled between rounds.
type pollingKernel struct {
	*uplinkstest.Fake
	polled map[uplinks.Tunable]string
}

func (k *pollingKernel) WatchTunables(wanted map[uplinks.Tunable]string) { k.polled = wanted }

func TestOnlySysctlsOfOwnLinksArePolled(t *testing.T) {
	facts := uplinkstest.Facts()
	foreign := facts.Links["eth0"]
	foreign.Index, foreign.Addrs, foreign.Defaults, foreign.Connected = 4711, nil, nil, nil
	facts.Links["foreign0"] = foreign
	k := &pollingKernel{Fake: uplinkstest.NewFake(facts)}
	newTestReconciler(k, uplinkstest.Settings()).Reconcile(t.Context(), "test")
	if _, polled := k.polled[uplinks.Tunable{Link: "eth0", Name: uplinks.SrcValidMark}]; !polled {
		t.Errorf("the sysctl of an uplink is not polled: %v", k.polled)
	}
	for tunable := range k.polled {
		if tunable.Link == "foreign0" {
			t.Errorf("%s is polled", tunable)
		}
	}
}
