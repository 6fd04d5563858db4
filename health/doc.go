// Package health says how each uplink stands, in each family: whether it is there, whether somebody answers through it,
// and whether replies are proven to leave by it. It judges; the packages below it ask.
//
// The way of the data is the order of the files:
//
//	Settings ─┐
//	          ├─ Monitor ─→ icmp, connect, firsthop ─→ Outcome ─→ Detector ─→ Quorum ─→ FamilyStatus ─→ Event
//	Path ─────┘
//	Path ─→ proof (asked, seen, shown) ─→ Proof ─→ FamilyStatus
//
// In the Monitor a question goes through watch (a path), inquiry (a probe of it), pace (when), ask, judge (one target on
// one path), consider (all who ask that target, see common: it may be the target that is bad), quorum (a family), hold
// (flaps), and tell or snapshot. Judge, convict, quorum and hold are pure: they are told the time.
//
// What comes of it is a Status: endpoint shows it to monitors and people.
package health
