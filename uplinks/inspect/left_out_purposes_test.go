package inspect

import (
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// With the backend nftables, configured or chosen, the desired state is that of replies alone, and what is left out is named.
func TestPurposesWithoutRulesInNftablesAreLeftOut(t *testing.T) {
	s := uplinkstest.Settings()
	with := s
	with.Outbound = uplinks.Outbound{Default: "fibre"}
	for _, configured := range []marks.Backend{marks.Auto, marks.Nftables} {
		f := uplinkstest.Facts()
		s.Backend, with.Backend = configured, configured
		for family, k := range f.Firewalls {
			k.Backend = marks.Nftables
			f.Firewalls[family] = k
		}
		if all := leftOutPurposes(s, f); len(all) > 0 {
			t.Errorf("%s, replies alone: %v", configured, all)
		}
		all := leftOutPurposes(with, f)
		if len(all) != 1 || !strings.Contains(all[0].What, "[outbound] is not in force") || !strings.Contains(all[0].Remedy, `"legacy"`) {
			t.Errorf("%s: %v", configured, all)
		}
		if got, want := uplinkstest.Dump(uplinks.Desired(with, f, nil)), uplinkstest.Dump(uplinks.Desired(s, f, nil)); got != want {
			t.Errorf("%s: desired:\n%s\nwant:\n%s", configured, got, want)
		}
	}
	with.Backend = marks.NFT
	if all := leftOutPurposes(with, uplinkstest.Facts()); len(all) > 0 {
		t.Errorf("with iptables: %v", all)
	}
}
