package doctor

import (
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// markUse is somebody's use of bits of marks.
type markUse struct {
	owner      string
	line       string
	bits       marks.Mask
	value      marks.Mark
	diverts    bool // packets of uplinks meet it, and it sends them elsewhere
	overwrites bool
}

// overlapsMask reports whether it uses a bit of ours.
func (s Snapshot) overlapsMask(u markUse) bool { return u.bits&s.Settings.Mask != 0 }

// assess is how much a use of our bits matters, and what can be done about it. A mark that is compared whole, and has none
// of our bits, is only no longer met by packets that have one.
func (s Snapshot) assess(u markUse) (Severity, string) {
	switch {
	case u.overwrites:
		return Error, ownBitsRemedy
	case u.diverts:
		return Error, s.freeMaskRemedy()
	case u.bits == marks.FullMask && u.value&marks.Mark(s.Settings.Mask) == 0:
		return Note, ownBitsRemedy
	}
	return Warning, s.freeMaskRemedy()
}

// isUplinkMark reports whether an uplink's mark has that value in our bits.
func (s Snapshot) isUplinkMark(value marks.Mark) bool {
	return slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool {
		return s.Settings.Mask.Mark(u.ID) == value&marks.Mark(s.Settings.Mask)
	})
}

func (s Snapshot) ruleUses() (all []markUse) {
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			if r.Mask == 0 || r.Protocol == uplinks.Protocol {
				continue
			}
			// Behind ours no packet that has an uplink's mark is left.
			diverts := r.Priority < s.Settings.Priority && decides(r) && s.isUplinkMark(marks.Mark(r.Mark))
			all = append(all, markUse{owner: ruleOwner(d, r, s.Names), line: ruleLine(d, r, s.Names), bits: marks.Mask(r.Mask), value: marks.Mark(r.Mark), diverts: diverts})
		}
	}
	return all
}

func (s Snapshot) firewallUses() (all []markUse) {
	for _, f := range s.Firewall {
		if f.MarkBits != 0 {
			all = append(all, markUse{owner: firewallOwner(f), line: firewallRuleText(f), bits: f.MarkBits, value: f.MarkValue, diverts: f.WritesMark, overwrites: f.OverwritesMark})
		}
	}
	return all
}

func (s Snapshot) flowUses() (all []markUse) {
	for _, f := range s.Flows {
		ours := s.isUplinkMark(marks.Mark(f.Mark))
		if ours && s.isApplied() {
			continue
		}
		all = append(all, markUse{owner: s.markOwner(f.Mark), line: fmt.Sprintf("mark %#x on %d, such as %s", f.Mark, f.Count, f.Example), bits: marks.Mask(f.Mark), value: marks.Mark(f.Mark), diverts: ours})
	}
	return all
}

// markOwner is who has a rule by which connections get such a mark; empty: nobody who is known.
func (s Snapshot) markOwner(mark uint32) string {
	for _, u := range slices.Concat(s.firewallUses(), s.ruleUses()) {
		if s.overlapsMask(u) && u.owner != "" && uint32(u.value) == mark&uint32(u.bits) && u.value&marks.Mark(s.Settings.Mask) != 0 {
			return u.owner
		}
	}
	return ""
}

func (s Snapshot) checkRuleMarks() []Finding {
	return s.markConflicts("mark-bits-rule", "ip rules of %s select by bits of the mask %s", s.ruleUses())
}

func (s Snapshot) checkFirewallMarks() []Finding {
	return s.markConflicts("mark-bits-firewall", "firewall rules of %s read or write bits of the mask %s", s.firewallUses())
}

func (s Snapshot) checkConnectionMarks() []Finding {
	return s.markConflicts("mark-bits-connections", "connections of %s wear bits of the mask %s that are no uplink's", s.flowUses())
}

// markConflicts tells of the uses of our bits, owner by owner.
func (s Snapshot) markConflicts(id, format string, uses []markUse) (all []Finding) {
	at := map[string]int{}
	for _, u := range uses {
		if !s.overlapsMask(u) {
			continue
		}
		severity, remedy := s.assess(u)
		i, known := at[u.owner]
		if !known {
			i = len(all)
			at[u.owner] = i
			all = append(all, Finding{ID: id, Severity: severity, Message: fmt.Sprintf(format, ownerName(u.owner), s.Settings.Mask), Remedy: remedy})
		}
		if severity.rank() < all[i].Severity.rank() {
			all[i].Severity, all[i].Remedy = severity, remedy
		}
		all[i].Evidence = append(all[i].Evidence, u.line)
	}
	for i, f := range all {
		all[i].Evidence = limitEvidence(f.Evidence)
		if f.Severity == Error {
			all[i].Message += ", which takes packets for those of another uplink, or of none"
		}
	}
	return all
}

// ownBitsRemedy is the remedy that always helps.
const ownBitsRemedy = "have that program use bits of its own, and only those (iptables: --set-xmark VALUE/MASK, --restore-mark --nfmask MASK --ctmask MASK)"
