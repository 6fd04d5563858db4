// Package health says how each uplink stands, in each family: whether it is there, whether somebody answers through it,
// and whether replies are proven to leave by it. It judges; the packages below it ask.
//
// The way of the data is the order of the files:
//
//	Settings ─┐
//	          ├─ Monitor ─→ icmp, connect, firsthop ─→ Outcome ─→ Judge ─→ Quorum ─→ Standing ─→ Event
//	Path ─────┘
//	Path ─→ proof (asked, seen, shown) ─→ Proof ─→ Standing
//
// What comes of it is a Status: endpoint shows it to monitors and people.
package health
