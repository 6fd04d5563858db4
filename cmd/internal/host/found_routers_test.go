package host

import (
	"net/netip"
	"slices"
	"testing"

	"replypath/cmd/internal/statedir"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// A router that is found between the file's writing and the end of a reading is not in the facts: it would be in force, and a service that is
// killed then would leave it to one that does not know it.
func TestFoundRoutersAreSavedBeforeTheyAreInForce(t *testing.T) {
	state, err := statedir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{}
	h.found.state = state
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{{Name: "dsl", ID: 2, Link: "eth1", Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.1")}, AnyRouter: true, WhenDown: uplinks.Hold}}
	h.found.set(s)
	f := uplinkstest.Facts()
	var known []uplinks.FoundRouter
	for _, mac := range []string{"02:00:00:00:00:0a", "02:00:00:00:00:0b"} {
		f.FoundRouters = h.found.read(f, true)
		added, ok := h.AddFoundRouter("dsl", mac, nil)
		if !ok {
			t.Fatal("there is no id")
		}
		if got := h.found.setEntries(f, 0, nil); !slices.Equal(got, known) || !slices.Equal(SavedFoundRouters(state), known) {
			t.Errorf("in force %v, saved %v, want %v", got, SavedFoundRouters(state), known)
		}
		known = append(known, added)
	}
}
