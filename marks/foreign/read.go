package foreign

import (
	"context"
	"slices"

	"replypath/marks"
)

// Source is a firewall whose rules a command of iptables prints.
type Source interface {
	Backend() marks.Backend
	// Family returns the family of nftables: unix.NFPROTO_IPV4 or unix.NFPROTO_IPV6.
	Family() uint8
	// Absent reports whether the firewall certainly has no rules.
	Absent() bool
	// Save returns the output of iptables-save, and the name of that command.
	Save(ctx context.Context) (tool, saved string, err error)
}

// Read returns the rules of other programs in all tables of the sources, and in those chains of nftables that the
// sources do not print: iptables leaves out base chains whose names are not its own. On error it returns the rules that it has read.
func Read(ctx context.Context, sources ...Source) (rules []Rule, err error) {
	printed := map[string]bool{} // chains of nftables that iptables prints, by family, table and name
	for _, s := range sources {
		if s.Absent() {
			continue
		}
		tool, saved, err := s.Save(ctx)
		if err != nil {
			return rules, err
		}
		found, chains := ParseSave(tool, saved)
		for i := range found {
			found[i].Backend = s.Backend()
		}
		rules = append(rules, found...)
		for _, name := range chains {
			if s.Backend() == marks.NFT {
				printed[familyNames[s.Family()]+" "+name] = true
			}
		}
	}
	others, err := readNFT()
	return append(rules, slices.DeleteFunc(others, func(r Rule) bool {
		return printed[r.Location]
	})...), err
}
