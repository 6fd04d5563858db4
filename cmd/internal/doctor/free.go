package doctor

import (
	"fmt"
	"math/bits"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// freeMaskRemedy proposes a mask whose bits no program on the host is seen to use.
func (s Snapshot) freeMaskRemedy() string {
	if free, found := s.freeMask(); found {
		return fmt.Sprintf("set mask = %#x, which is not in use on this host, or %s", uint32(free), ownBitsRemedy)
	}
	return "no contiguous run of mark bits is free on this host: " + ownBitsRemedy
}

// commonBits are the mark bits of kube-proxy, Tailscale and OpenWrt's pbr, which may be installed later, and of small numbers
// in handwritten rules.
const commonBits marks.Mask = 0x4000 | 0x8000 | 0xff0000 | 0xff

// freeMask returns a contiguous run of unused bits, if possible as wide as the current mask, and at least as wide as the
// uplinks' ids.
func (s Snapshot) freeMask() (marks.Mask, bool) {
	var taken marks.Mask
	for _, u := range slices.Concat(s.ruleUses(), s.firewallUses(true), s.flowUses()) {
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

// freePriority returns the first priority of the block nearest to the current one that has no foreign rule in it, and none
// before it that matches all packets.
func (s Snapshot) freePriority() (best uplinks.Priority, found bool) {
	const step = 100
	distance := func(p uplinks.Priority) uint32 {
		return uint32(max(p, s.Settings.Priority) - min(p, s.Settings.Priority))
	}
	for p := uplinks.Priority(step); p+uplinks.BlockSize <= uplinks.MainPriority; p += step {
		if s.isPriorityFree(p) && (!found || distance(p) < distance(best)) {
			best, found = p, true
		}
	}
	return best, found
}

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

// isForeign reports whether the rule is neither replypath's nor the kernel's for table local.
func isForeign(r *rpdb.Rule) bool {
	return r.Protocol != uplinks.Protocol && !(r.Action == uplinks.Lookup && r.Table == uplinks.LocalTable)
}

// withFreePriority appends to a remedy the alternative of moving replypath's rules to free priorities.
func (s Snapshot) withFreePriority(instead string) string {
	if p, found := s.freePriority(); found {
		return fmt.Sprintf("%s, or set priority = %d to move those of replypath", instead, p)
	}
	return instead
}

// freeTableBase returns a table_base whose tables have no routes and no rules of other programs.
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

// maxTables returns the number of routing tables that the mask has room for.
func (s Snapshot) maxTables() uplinks.Table {
	return uplinks.Table(min(s.Settings.Mask.MaxID(), marks.MaxID))
}
