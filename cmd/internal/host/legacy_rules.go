package host

import (
	"fmt"
	"hash/fnv"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/uplinks"
)

// ForeignLegacyRules returns a hash of the legacy firewall tables in which replypath has no rules. The kernel announces no change of
// them. Reading takes time in proportion to the number of rules.
func (h *Host) ForeignLegacyRules() (uint64, error) {
	sum := fnv.New64a()
	for _, f := range uplinks.Families {
		if !h.legacy.Exist(f) {
			continue
		}
		ipv6 := f == uplinks.IPv6
		for _, name := range netfilter.LegacyTableNames(ipv6) {
			if name == marks.MangleTable || name == marks.MasqTable { // these are in Fingerprint
				continue
			}
			table, err := netfilter.ReadLegacyTable(name, ipv6)
			if err != nil {
				return 0, err
			}
			fmt.Fprintln(sum, f, name, table.Hash())
		}
	}
	return sum.Sum64(), nil
}
