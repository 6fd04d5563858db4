package doctor

import (
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// markUse is a use of mark bits by another program.
type markUse struct {
	owner      string
	line       string
	bits       marks.Mask
	value      marks.Mark
	diverts    bool // it applies to packets with an uplink's mark and reroutes them
	overwrites bool
	zeroMark   bool // it decides on packets by whether their whole mark is 0
}

// overlapsMask reports whether the use includes a bit of replypath's mask.
func (s Snapshot) overlapsMask(u markUse) bool { return u.bits&s.Settings.Mask != 0 }

// assess returns the severity of a conflicting use and a remedy. A rule that compares the whole mark with a value outside
// the mask only fails to match packets with an uplink's mark.
func (s Snapshot) assess(u markUse) (Severity, string) {
	switch {
	case u.overwrites:
		return Error, ownBitsRemedy
	case u.diverts:
		return Error, s.freeMaskRemedy()
	case u.zeroMark:
		return Warning, s.zeroMarkRemedy()
	case u.bits == marks.FullMask && u.value&marks.Mark(s.Settings.Mask) == 0:
		return Note, ownBitsRemedy
	}
	return Warning, s.freeMaskRemedy()
}

// isUplinkMark reports whether the value, masked, is the mark of an uplink or of a router that was found.
func (s Snapshot) isUplinkMark(value marks.Mark) bool {
	return slices.ContainsFunc(s.Settings.WithFoundRouters(s.Facts).Uplinks, func(u uplinks.Uplink) bool {
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
			// Packets with an uplink's mark do not reach rules after replypath's.
			diverts := r.Priority < s.Settings.Priority && decides(r) && s.isUplinkMark(marks.Mark(r.Mark))
			all = append(all, markUse{owner: ruleOwner(d, r, s.Names), line: ruleLine(d, r, s.Names), bits: marks.Mask(r.Mask), value: marks.Mark(r.Mark), diverts: diverts})
		}
	}
	return all
}

// firewallUses returns the uses by firewall rules, with those of transparent proxies that have a finding of their own if proxies is
// set.
func (s Snapshot) firewallUses(proxies bool) (all []markUse) {
	for i, f := range s.Firewall {
		if _, wipes := s.wipesMark(i); wipes && !proxies {
			continue
		}
		afterRouting := f.Egress && f.WritesMark && !f.WritesConnmark // for traffic control: no route depends on it
		if f.MarkBits != 0 && !afterRouting {
			all = append(all, markUse{owner: firewallOwner(f), line: firewallRuleText(f), bits: f.MarkBits, value: f.MarkValue, diverts: f.WritesMark, overwrites: f.OverwritesMark,
				zeroMark: f.ZeroMarkVerdict && f.In != "lo" && f.Out != "lo"})
		}
	}
	return all
}

func (s Snapshot) flowUses() (all []markUse) {
	for _, f := range s.Flows {
		ours := s.isUplinkMark(marks.Mark(f.Mark))
		if ours && s.isApplied() || s.isRemovedMark(f.Mark) {
			continue
		}
		all = append(all, markUse{owner: s.markOwner(f.Mark), line: markedLine(f), bits: marks.Mask(f.Mark), value: marks.Mark(f.Mark), diverts: ours})
	}
	return all
}

// markOwner returns the owner of the rule that sets the mark of connections, or "" if it is unknown.
func (s Snapshot) markOwner(mark uint32) string {
	for _, u := range slices.Concat(s.firewallUses(true), s.ruleUses()) {
		if s.overlapsMask(u) && u.owner != "" && uint32(u.value) == mark&uint32(u.bits) && u.value&marks.Mark(s.Settings.Mask) != 0 {
			return u.owner
		}
	}
	return ""
}

func (s Snapshot) checkRuleMarks() []Finding {
	all, _ := s.markConflicts("mark-bits-rule", "ip rules of %s match bits of replypath's mask %s", s.ruleUses())
	return all
}

func (s Snapshot) checkFirewallMarks() []Finding {
	all, _ := s.markConflicts("mark-bits-firewall", "firewall rules of %s use bits of replypath's mask %s", s.firewallUses(false))
	return all
}

func (s Snapshot) checkConnectionMarks() []Finding {
	all, byOwner := s.markConflicts("mark-bits-connections", "connections of %s have marks in replypath's mask %s that belong to no uplink", s.flowUses())
	removed := func(c uplinks.MarkedConnections) bool { return s.mayBeRemovedMark(c.Mark) }
	if i, unknown := byOwner[""]; unknown && slices.ContainsFunc(s.Flows, removed) {
		all[i].Remedy += "; where an uplink was removed from the configuration, these may be its connections, which keep their marks until they end: no other uplink should get its id before"
	}
	return all
}

// markConflicts returns one finding per owner for the uses that overlap with the mask, and the place of each owner's.
func (s Snapshot) markConflicts(id, format string, uses []markUse) (all []Finding, at map[string]int) {
	at = map[string]int{}
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
			all[i].Message += ": packets are taken for those of another uplink or of none"
		}
	}
	return all, at
}

// zeroMarkRemedy returns the match of mark 0 that leaves out the bits of the mask.
func (s Snapshot) zeroMarkRemedy() string {
	rest := uint32(^s.Settings.Mask)
	return fmt.Sprintf("what comes in by an uplink has a mark in %s, and so have its replies: those rules take it for marked; leave these bits out of the comparison (iptables: --mark 0x0/%#x, nft: mark & %#x == 0)",
		s.Settings.Mask, rest, rest)
}

// ownBitsRemedy is the remedy for every conflict of mark bits.
const ownBitsRemedy = "configure the other program to use other bits, with a mask (iptables: --set-xmark VALUE/MASK, --restore-mark --nfmask MASK --ctmask MASK; nft: meta mark set meta mark & ~MASK | VALUE)"
