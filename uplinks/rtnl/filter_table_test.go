package rtnl

import (
	"testing"

	"replypath/uplinks/egress"
)

// Each priority has a hash table of its own as its root. A table to which a filter leads is none.
func TestRootsOfU32AreResolved(t *testing.T) {
	all := []egress.Filter{
		{Kind: "u32", Priority: 4, Handle: 0x800_00_800}, {Kind: "u32", Priority: 6, Handle: 0x801_00_800, Next: 0x802_00_000},
		{Kind: "u32", Priority: 6, Handle: 0x802_01_800}, {Kind: "u32", Priority: 6, Handle: 0x00a_01_800}, {Kind: "matchall", Handle: 1},
	}
	resolveTables(all)
	for i, unresolved := range []bool{false, false, true, true, false} {
		if all[i].Unresolved != unresolved {
			t.Errorf("filter %d: %+v", i, all[i])
		}
	}
}
