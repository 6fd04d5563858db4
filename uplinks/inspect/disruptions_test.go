package inspect_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/uplinkstest"
)

// A mark that comes to mean another link is named with both links by every backend; the same marks in another backend are not.
func TestMarksThatChangeTheirLinkAreNamed(t *testing.T) {
	desired := func(b marks.Backend, s uplinks.Settings) uplinks.State {
		facts := uplinkstest.Facts()
		facts.Firewalls = maps.Clone(facts.Firewalls)
		for f, key := range facts.Firewalls {
			key.Backend = b
			facts.Firewalls[f] = key
		}
		return uplinks.Desired(s, facts, nil)
	}
	plain, swapped := uplinkstest.Settings(), uplinkstest.Settings()
	swapped.Uplinks = slices.Clone(swapped.Uplinks)
	swapped.Uplinks[0].ID, swapped.Uplinks[1].ID = swapped.Uplinks[1].ID, swapped.Uplinks[0].ID
	for _, from := range []marks.Backend{marks.NFT, marks.Legacy, marks.Nftables} {
		for _, to := range []marks.Backend{marks.NFT, marks.Legacy, marks.Nftables} {
			if all := inspect.Disruptions(desired(to, plain), desired(from, plain)); len(all) > 0 {
				t.Errorf("from %s to %s: %v", from, to, all)
			}
			all := inspect.Disruptions(desired(to, swapped), desired(from, plain))
			if len(all) != 2 || !strings.Contains(all[0].What, "came in by eth0 have the mark 0x100, which becomes that of eth1") ||
				!strings.Contains(all[1].What, "came in by eth1 have the mark 0x200, which becomes that of eth0") {
				t.Errorf("from %s to %s with other ids: %v", from, to, all)
			}
		}
	}
}

// Of uplinks that exchange their ids, that one is named whose connections keep their mark, as it has no route.
func TestMarksThatMoveAreNotNamed(t *testing.T) {
	s, facts := uplinkstest.Settings(), uplinkstest.Facts()
	swapped := s
	swapped.Uplinks = []uplinks.Uplink{s.Uplinks[1], s.Uplinks[0]}
	swapped.Uplinks[0].ID, swapped.Uplinks[1].ID = 1, 2
	for _, up := range []bool{true, false} {
		l := facts.Links["eth1"]
		l.Up = up
		facts.Links["eth1"] = l
		k := uplinkstest.NewFake(facts)
		if _, err := uplinks.Sync(t.Context(), k, s); err != nil {
			t.Fatal(err)
		}
		_, o, err := uplinks.Preview(t.Context(), k, swapped, nil)
		if err != nil {
			t.Fatal(err)
		}
		var named []string
		for _, finding := range inspect.BeforeChange(swapped, o) {
			if strings.Contains(finding.What, "have the mark") {
				named = append(named, finding.What)
			}
		}
		if up && len(named) > 0 || !up && (len(named) != 1 || !strings.Contains(named[0], "came in by eth1 have the mark 0x200, which becomes that of eth0")) {
			t.Errorf("eth1 is up: %v; these are named: %q", up, named)
		}
	}
}
