package host

import (
	"errors"
	"testing"

	"replypath/marks"
	"replypath/marks/xtables"
)

func TestWhetherOthersHaveRulesInNftablesIsAskedOnlyWhereItMatters(t *testing.T) {
	none, others := xtables.Use{}, xtables.Use{Others: true}
	for name, c := range map[string]struct {
		choice choice
		want   bool
	}{
		"a usual host":                            {choice{want: marks.Auto, usual: marks.NFT, legacy: none}, false},
		"one whose iptables is legacy":            {choice{want: marks.Auto, usual: marks.Legacy, legacy: none}, true},
		"others have rules in legacy":             {choice{want: marks.Auto, usual: marks.NFT, legacy: others}, true},
		"we have rules in legacy":                 {choice{want: marks.Auto, usual: marks.NFT, legacy: xtables.Use{Ours: true}}, true},
		"the operator chose":                      {choice{want: marks.NFT, legacy: none}, false},
		"the operator chose, others chose legacy": {choice{want: marks.NFT, legacy: others}, false},
		"the kernel has no legacy tables":         {choice{want: marks.Auto, usual: marks.Legacy, noLegacy: errors.New("none")}, false},
	} {
		if got := c.choice.hinges(); got != c.want {
			t.Errorf("%s: asked %v, want %v", name, got, c.want)
		}
	}
}
