package doctor

import (
	"fmt"
	"math/bits"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// use is somebody's use of bits of marks.
type use struct {
	owner string
	line  string
	bits  marks.Mask
	value marks.Mark
	wipes bool
}

// ours reports whether it uses a bit of ours.
func (s Seen) ours(u use) bool { return u.bits&s.Settings.Mask != 0 }

// collides reports whether the value is taken for the mark of an uplink, or wipes it.
func (s Seen) collides(u use) bool {
	return u.wipes || slices.ContainsFunc(s.Settings.Uplinks, func(up uplinks.Uplink) bool {
		return uint32(u.value)&uint32(s.Settings.Mask) == uint32(s.Settings.Mask.Mark(up.ID))
	})
}

func (s Seen) ruleUses() (all []use) {
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			if r.Mask == 0 || r.Protocol == uplinks.Protocol {
				continue
			}
			all = append(all, use{owner: owner(d, r, s.Names), line: ruleLine(d, r, s.Names), bits: marks.Mask(r.Mask), value: marks.Mark(r.Mark)})
		}
	}
	return all
}

func (s Seen) firewallUses() (all []use) {
	for _, f := range s.Firewall {
		if f.Bits != 0 {
			all = append(all, use{owner: firewallOwner(f), line: place(f), bits: f.Bits, value: f.Value, wipes: f.Wipes})
		}
	}
	return all
}

func (s Seen) flowUses() (all []use) {
	for _, f := range s.Flows {
		mark := marks.Mark(f.Mark) & marks.Mark(s.Settings.Mask)
		mine := slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool { return s.Settings.Mask.Mark(u.ID) == mark })
		if mine && s.applied() {
			continue
		}
		all = append(all, use{line: fmt.Sprintf("mark %#x on %d, such as %s", f.Mark, f.Count, f.Text), bits: marks.Mask(f.Mark), value: marks.Mark(f.Mark)})
	}
	return all
}

func (s Seen) marksInRules() []Finding {
	return s.conflicts("mark-bits-rule", "ip rules of %s select by bits of the mask %s", s.ruleUses())
}

func (s Seen) marksInFirewall() []Finding {
	return s.conflicts("mark-bits-firewall", "firewall rules of %s read or write bits of the mask %s", s.firewallUses())
}

func (s Seen) marksInConnections() []Finding {
	return s.conflicts("mark-bits-connections", "connections of %s wear bits of the mask %s that are no uplink's", s.flowUses())
}

// conflicts tells of the uses of our bits, owner by owner.
func (s Seen) conflicts(id, what string, uses []use) (all []Finding) {
	lines := map[string][]string{}
	grave := map[string]bool{}
	var owners []string
	for _, u := range uses {
		if !s.ours(u) {
			continue
		}
		if lines[u.owner] == nil {
			owners = append(owners, u.owner)
		}
		lines[u.owner] = append(lines[u.owner], u.line)
		grave[u.owner] = grave[u.owner] || s.collides(u)
	}
	for _, o := range owners {
		f := Finding{ID: id, Severity: Warning, What: fmt.Sprintf(what, someone(o), s.Settings.Mask), Evidence: some(lines[o]),
			Remedy: s.remedy()}
		if grave[o] {
			f.Severity = Error
			f.What += ", and would be taken for an uplink's mark, or wipe it"
		}
		all = append(all, f)
	}
	return all
}

// remedy proposes a mask that nobody seems to use.
func (s Seen) remedy() string {
	const masked = "have that program use other bits, and only those (MARK --set-xmark VALUE/MASK)"
	if free, found := s.free(); found {
		return fmt.Sprintf("set mask = %#x, which nobody here uses, or %s", uint32(free), masked)
	}
	return "no run of bits is free here: " + masked
}

// known are bits of programs that are often added later: kube-proxy, Tailscale or OpenWrt's pbr; and the small numbers that people write by hand.
const known marks.Mask = 0x4000 | 0x8000 | 0xff0000 | 0xff

// free is an unbroken run of bits that nobody uses, wide enough for the uplinks' ids, and if possible as wide as ours.
func (s Seen) free() (marks.Mask, bool) {
	var taken marks.Mask
	for _, u := range slices.Concat(s.ruleUses(), s.firewallUses(), s.flowUses()) {
		if u.bits == marks.Full {
			u.bits = marks.Mask(u.value)
		}
		taken |= u.bits
	}
	needed := 3
	for _, u := range s.Settings.Uplinks {
		needed = max(needed, bits.Len8(uint8(u.ID)))
	}
	for _, avoided := range []marks.Mask{taken | known, taken} {
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
