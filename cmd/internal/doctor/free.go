package doctor

import (
	"fmt"
	"math/bits"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// freeMaskRemedy proposes a mask that nobody seems to use.
func (s Snapshot) freeMaskRemedy() string {
	if free, found := s.freeMask(); found {
		return fmt.Sprintf("set mask = %#x, which nobody here uses; or %s", uint32(free), ownBitsRemedy)
	}
	return "no run of bits is free here: " + ownBitsRemedy
}

// commonBits are bits of programs that are often added later: kube-proxy, Tailscale or OpenWrt's pbr; and the small numbers that people write by hand.
const commonBits marks.Mask = 0x4000 | 0x8000 | 0xff0000 | 0xff

// freeMask is an unbroken run of bits that nobody uses, wide enough for the uplinks' ids, and if possible as wide as ours.
func (s Snapshot) freeMask() (marks.Mask, bool) {
	var taken marks.Mask
	for _, u := range slices.Concat(s.ruleUses(), s.firewallUses(), s.flowUses()) {
		if u.bits == marks.FullMask {
			u.bits = marks.Mask(u.value)
		}
		taken |= u.bits
	}
	needed := 3
	for _, u := range s.Settings.Uplinks {
		needed = max(needed, bits.Len8(uint8(u.ID)))
	}
	for _, avoided := range []marks.Mask{taken | commonBits, taken} {
		for width := max(needed, bits.OnesCount32(uint32(s.Settings.Mask))); width >= needed; width-- {
			for shift := range 32 - width + 1 {
				if m := marks.Mask((uint64(1)<<width - 1) << shift); m&avoided == 0 {
					return m, true
				}
			}
		}
	}
	return 0, false
}

// freePriority is the first of priorities for all of our rules, with none of others among them, and none before them that takes
// every packet: the nearest to where they are now.
func (s Snapshot) freePriority() (best uplinks.Priority, found bool) {
	const step = 100
	distance := func(p uplinks.Priority) uint32 {
		return uint32(max(p, s.Settings.Priority) - min(p, s.Settings.Priority))
	}
	for p := uplinks.Priority(step); p+uplinks.BlockSize <= mainPriority; p += step {
		if s.isPriorityFree(p) && (!found || distance(p) < distance(best)) {
			best, found = p, true
		}
	}
	return best, found
}

// mainPriority is that of the kernel's rule for main.
const mainPriority = 32766

func (s Snapshot) isPriorityFree(first uplinks.Priority) bool {
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			among := r.Priority >= first && r.Priority < first+uplinks.BlockSize
			if isForeign(r) && (among || r.Priority < first && catchesAll(r)) {
				return false
			}
		}
	}
	return true
}

// isForeign reports whether the rule is neither ours nor the kernel's first.
func isForeign(r *rpdb.Rule) bool {
	return r.Protocol != uplinks.Protocol && !(r.Action == uplinks.Lookup && r.Table == uplinks.LocalTable)
}

// withFreePriority proposes priorities for our rules, behind what can be done instead.
func (s Snapshot) withFreePriority(instead string) string {
	if p, found := s.freePriority(); found {
		return fmt.Sprintf("%s, or move ours: set priority = %d", instead, p)
	}
	return instead
}

// freeTableBase is a table_base behind which nobody is seen to use the tables: no rule looks in them, no route is known in them.
func (s Snapshot) freeTableBase() uplinks.Table {
	used := map[uplinks.Table]bool{}
	for _, d := range s.Rules {
		for _, r := range d.Rules {
			used[r.Table] = used[r.Table] || r.Protocol != uplinks.Protocol
		}
	}
	for key, r := range s.State.Routes {
		used[key.Table] = used[key.Table] || r.Protocol != uplinks.Protocol
	}
	for base := s.Settings.TableBase + 100; ; base += 100 {
		free := true
		for id := range s.maxTables() {
			free = free && !used[base+1+id]
		}
		if free {
			return base
		}
	}
}

// maxTables is how many tables there are behind the base.
func (s Snapshot) maxTables() uplinks.Table {
	return uplinks.Table(min(s.Settings.Mask.MaxID(), marks.MaxID))
}
