package uplinks

import (
	"testing"

	"replypath/marks"
)

func TestBlocksAreDisjoint(t *testing.T) {
	blocks := DefaultSettings().Blocks()
	for i, a := range blocks {
		if a.FirstPriority > a.LastPriority || a.FirstTable > a.LastTable {
			t.Errorf("%s: an empty range in %+v", a.Purpose, a)
		}
		for _, b := range blocks[i+1:] {
			if a.FirstPriority <= b.LastPriority && b.FirstPriority <= a.LastPriority {
				t.Errorf("%s and %s share rule priorities: %+v, %+v", a.Purpose, b.Purpose, a, b)
			}
			if a.FirstTable <= b.LastTable && b.FirstTable <= a.LastTable {
				t.Errorf("%s and %s share routing tables: %+v, %+v", a.Purpose, b.Purpose, a, b)
			}
			if a.PacketBits&b.PacketBits != 0 || a.ConnBits&b.ConnBits != 0 {
				t.Errorf("%s and %s share bits of marks: %+v, %+v", a.Purpose, b.Purpose, a, b)
			}
			for _, chain := range b.Chains {
				if a.OwnsChain(chain) {
					t.Errorf("%s and %s share the chain %s", a.Purpose, b.Purpose, chain)
				}
			}
		}
		for _, reserved := range []Table{DefaultTable, MainTable, LocalTable} {
			if a.FirstTable <= reserved && reserved <= a.LastTable {
				t.Errorf("%s takes the kernel's table %d", a.Purpose, reserved)
			}
		}
	}
}

func TestBlocksFollowTheSettings(t *testing.T) {
	s := DefaultSettings()
	s.Priority, s.TableBase, s.Mask = 12000, 100000, 0xff0000
	replies := s.Blocks()[0]
	if replies.FirstPriority != 12000 || replies.LastPriority != 13999 || replies.FirstTable != 100001 || replies.LastTable != 100000+marks.MaxID || replies.ConnBits != 0xff0000 {
		t.Errorf("the block of replies: %+v", replies)
	}
}
