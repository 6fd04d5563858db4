package nftables

import (
	"replypath/marks"
	"replypath/marks/nftnl"
)

// makeTable returns the requests that make the table, which must not exist, with the chains and hooks of the families.
func makeTable(flags uint32, changes map[bool]marks.Change) ([]nftnl.Request, error) {
	b := &builder{snapshot: &snapshot{exists: true, flags: flags}}
	b.add(ownTable.CreateNew(flags))
	hooks := map[bool]marks.Change{}
	for _, ipv6 := range families {
		change := changes[ipv6]
		if len(change.Chains) == 0 {
			continue
		}
		hooks[ipv6] = marks.Change{Hooks: change.Hooks}
		b.ipv6, change.Hooks = ipv6, nil
		if _, err := b.build(change); err != nil {
			return nil, err
		}
	}
	for _, base := range marks.NFTBases {
		if len(hooks[false].HooksOf(base))+len(hooks[true].HooksOf(base)) == 0 {
			continue
		}
		var gate *marks.Rule // the same for both families
		for _, ipv6 := range families {
			changes, own := marks.WithoutGates(hooks[ipv6].HooksOf(base))
			if own != nil {
				gate = own
			}
			b.ipv6 = ipv6
			b.emptyOrMake(base.HookChain(ipv6))
			if err := b.insertHooks(base, changes); err != nil {
				return nil, err
			}
		}
		if err := b.makeBase(base, gate); err != nil {
			return nil, err
		}
	}
	return b.requests, nil
}
