package host

import (
	"errors"
	"testing"

	"replypath/marks"
)

func TestNFTRulesetIsListedOnlyWhereTheChoiceDependsOnIt(t *testing.T) {
	none, others := marks.Owners{}, marks.Owners{Others: true}
	for name, c := range map[string]struct {
		choice backendChoice
		want   bool
	}{
		"a usual host":                            {backendChoice{configured: marks.Auto, commandDefault: marks.NFT, legacy: none}, false},
		"one whose iptables is legacy":            {backendChoice{configured: marks.Auto, commandDefault: marks.Legacy, legacy: none}, true},
		"others have rules in legacy":             {backendChoice{configured: marks.Auto, commandDefault: marks.NFT, legacy: others}, true},
		"we have rules in legacy":                 {backendChoice{configured: marks.Auto, commandDefault: marks.NFT, legacy: marks.Owners{Ours: true}}, false},
		"the operator chose":                      {backendChoice{configured: marks.NFT, legacy: none}, false},
		"the operator chose, others chose legacy": {backendChoice{configured: marks.NFT, legacy: others}, false},
		"there is no iptables":                    {backendChoice{configured: marks.Auto, legacy: others}, false},
		"nftables has our rules":                  {backendChoice{configured: marks.Auto, commandDefault: marks.Legacy, native: true}, false},
		"the kernel has no legacy tables":         {backendChoice{configured: marks.Auto, commandDefault: marks.Legacy, legacyErr: errors.New("none")}, false},
	} {
		if got := c.choice.dependsOnOthersInNFT(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
