package xtables

import (
	"context"
	"slices"

	"replypath/marks"
)

// Foreign are the rules of others in all tables of both backends, and those that nft(8) lists and iptables does not.
func Foreign(ctx context.Context, families ...Tables) (all []marks.Foreign, err error) {
	managed := map[string]bool{} // nftables' tables that iptables shows
	for _, ts := range families {
		for _, t := range []*Table{ts.NFT, ts.Legacy} {
			if t == nil || t.Absent() {
				continue
			}
			_, saved, err := t.save(ctx)
			if err != nil {
				return all, err
			}
			rules, tables := marks.ParseForeign(t.Command+"-save", saved)
			all = append(all, rules...)
			for _, name := range tables {
				managed[familyNames[t.family()]+" "+name] = managed[familyNames[t.family()]+" "+name] || t.Backend == marks.NFT
			}
		}
	}
	rules, err := ruleset()
	return append(all, slices.DeleteFunc(rules, func(f marks.Foreign) bool {
		return managed[f.Place[:len(f.Place)-len(f.Chain)-1]]
	})...), err
}
