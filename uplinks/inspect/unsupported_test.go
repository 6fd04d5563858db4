package inspect

import (
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// What the backend nftables has no rule for is named before apply refuses it.
func TestRulesThatNftablesLacksAreNamed(t *testing.T) {
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	s.Backend = marks.Nftables
	if all := unsupportedRules(s, f); len(all) > 0 {
		t.Errorf("without interception: %v", all)
	}
	s.Interception = &uplinks.Interception{Bit: 0x10}
	all := unsupportedRules(s, f)
	if len(all) != 2 || !strings.Contains(all[0].What, "cannot be loaded") || !strings.Contains(all[0].What, `"nftables"`) || !strings.Contains(all[0].Remedy, `"legacy"`) {
		t.Errorf("with interception: %v", all)
	}
	s.Backend = marks.NFT
	if all := unsupportedRules(s, f); len(all) > 0 {
		t.Errorf("with iptables: %v", all)
	}
}
