package host

import (
	"testing"

	"replypath/uplinks"
)

func TestChangedMTUsOfAcceleratedLinksAreNoticed(t *testing.T) {
	links := func(eth0, lan0 int) map[string]uplinks.Link {
		return map[string]uplinks.Link{"eth0": {MTU: eth0}, "lan0": {MTU: lan0}, "other0": {MTU: eth0}}
	}
	var m linkMTUs
	want := func(what string, changed bool) {
		t.Helper()
		if m.changed([]string{"eth0", "lan0"}) != changed {
			t.Errorf("%s: changed is %t", what, !changed)
		}
	}
	m.update(links(1500, 1500))
	want("a table that was there", false)
	m.update(map[string]uplinks.Link{"other0": {MTU: 1400}})
	want("a link that is not in the table", false)
	m.update(map[string]uplinks.Link{"lan0": {MTU: 1400}})
	want("one link read", true)
	m.renew()
	want("a table that was made since", false)
	m.update(links(1500, 1400))
	want("all links read", false)
	m.update(links(1492, 1400))
	want("the uplink", true)
	m.update(links(1500, 1400))
	want("as it was", false)
}
