package doctor

import (
	"fmt"
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
	grave bool // packets of uplinks meet it, and it sends them elsewhere
	wipes bool
}

// ours reports whether it uses a bit of ours.
func (s Seen) ours(u use) bool { return u.bits&s.Settings.Mask != 0 }

// gravity is how much a use of our bits matters, and what can be done about it. A mark that is compared whole, and has none
// of our bits, is only no longer met by packets that have one.
func (s Seen) gravity(u use) (Severity, string) {
	switch {
	case u.wipes:
		return Error, masked
	case u.grave:
		return Error, s.move()
	case u.bits == marks.Full && u.value&marks.Mark(s.Settings.Mask) == 0:
		return Note, masked
	}
	return Warning, s.move()
}

// worn reports whether an uplink's mark has that value in our bits.
func (s Seen) worn(value marks.Mark) bool {
	return slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool {
		return s.Settings.Mask.Mark(u.ID) == value&marks.Mark(s.Settings.Mask)
	})
}

func (s Seen) ruleUses() (all []use) {
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			if r.Mask == 0 || r.Protocol == uplinks.Protocol {
				continue
			}
			// Behind ours no packet that has an uplink's mark is left.
			grave := r.Priority < s.Settings.Priority && decides(r) && s.worn(marks.Mark(r.Mark))
			all = append(all, use{owner: owner(d, r, s.Names), line: ruleLine(d, r, s.Names), bits: marks.Mask(r.Mask), value: marks.Mark(r.Mark), grave: grave})
		}
	}
	return all
}

func (s Seen) firewallUses() (all []use) {
	for _, f := range s.Firewall {
		if f.Bits != 0 {
			all = append(all, use{owner: firewallOwner(f), line: place(f), bits: f.Bits, value: f.Value, grave: f.Writes, wipes: f.Wipes})
		}
	}
	return all
}

func (s Seen) flowUses() (all []use) {
	for _, f := range s.Flows {
		worn := s.worn(marks.Mark(f.Mark))
		if worn && s.applied() {
			continue
		}
		all = append(all, use{owner: s.marker(f.Mark), line: fmt.Sprintf("mark %#x on %d, such as %s", f.Mark, f.Count, f.Text), bits: marks.Mask(f.Mark), value: marks.Mark(f.Mark), grave: worn})
	}
	return all
}

// marker is who has a rule by which connections get such a mark; empty: nobody who is known.
func (s Seen) marker(mark uint32) string {
	for _, u := range slices.Concat(s.firewallUses(), s.ruleUses()) {
		if s.ours(u) && u.owner != "" && uint32(u.value) == mark&uint32(u.bits) && u.value&marks.Mark(s.Settings.Mask) != 0 {
			return u.owner
		}
	}
	return ""
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
	at := map[string]int{}
	for _, u := range uses {
		if !s.ours(u) {
			continue
		}
		severity, remedy := s.gravity(u)
		i, told := at[u.owner]
		if !told {
			i = len(all)
			at[u.owner] = i
			all = append(all, Finding{ID: id, Severity: severity, What: fmt.Sprintf(what, someone(u.owner), s.Settings.Mask), Remedy: remedy})
		}
		if severity.rank() < all[i].Severity.rank() {
			all[i].Severity, all[i].Remedy = severity, remedy
		}
		all[i].Evidence = append(all[i].Evidence, u.line)
	}
	for i, f := range all {
		all[i].Evidence = some(f.Evidence)
		if f.Severity == Error {
			all[i].What += ", which takes packets for those of another uplink, or of none"
		}
	}
	return all
}

// masked is the remedy that always helps.
const masked = "have that program use bits of its own, and only those (iptables: --set-xmark VALUE/MASK, --restore-mark --nfmask MASK --ctmask MASK)"
