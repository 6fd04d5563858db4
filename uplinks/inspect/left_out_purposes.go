package inspect

import (
	"fmt"

	"replypath/marks"
	"replypath/uplinks"
)

// leftOutPurposes names what is configured and left out, as the backend nftables has rules for replies alone.
func leftOutPurposes(s uplinks.Settings, f uplinks.Facts) (all []Finding) {
	nftables := s.Backend == marks.Nftables
	for _, family := range f.Families() {
		nftables = nftables || f.HasRepliesOnly(family)
	}
	if !nftables {
		return nil
	}
	for _, purpose := range []struct {
		name       string
		configured bool
	}{{"[outbound]", s.Outbound.Enabled()}} {
		if purpose.configured {
			all = append(all, Finding{What: fmt.Sprintf("%s is not in force: the backend %q has rules for replies alone", purpose.name, marks.Nftables),
				Remedy: `install the package iptables, and set backend = "nft" or "legacy"`})
		}
	}
	return all
}
