package iptables

import (
	"context"
	"slices"

	"replypath/marks"
)

// ForeignRules are the rules of others in all tables of both backends, and those that nft(8) lists and iptables does not.
func ForeignRules(ctx context.Context, families ...Tables) (found []marks.ForeignRule, err error) {
	iptablesOwned := map[string]bool{} // nftables' tables that iptables shows
	for _, ts := range families {
		for _, t := range []*Table{ts.NFT, ts.Legacy} {
			if t == nil || t.Absent() {
				continue
			}
			_, saved, err := t.runSave(ctx)
			if err != nil {
				return found, err
			}
			rules, tables := marks.ParseSaved(t.Command+"-save", saved)
			found = append(found, rules...)
			for _, name := range tables {
				iptablesOwned[familyNames[t.family()]+" "+name] = iptablesOwned[familyNames[t.family()]+" "+name] || t.Backend == marks.NFT
			}
		}
	}
	rules, err := foreignNFT()
	return append(found, slices.DeleteFunc(rules, func(f marks.ForeignRule) bool {
		return iptablesOwned[f.Location[:len(f.Location)-len(f.Chain)-1]]
	})...), err
}
