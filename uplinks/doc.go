// Package uplinks decides where packets should go. It is pure; rtnl, procfs and networkd carry what it says and sees
// to and from the kernel.
//
// A client on the Internet opens a connection to the address of the second uplink, eth1; main's default is eth0.
//
//  1. In by eth1. The connection has no mark of ours yet and this packet is of its original direction, so it gets
//     eth1's mark, and the packet gets it from the connection (package marks).
//  2. May it come in? Strict rp_filter asks where an answer would go, with the mark, since src_valid_mark is on for
//     eth1: the rule for the mark says eth1, and in it comes. A forged LAN source is refused: main knows the LAN.
//  3. Where to? To a service of the host: table local has come first. To a LAN host or a container, after DNAT: the
//     first rule of our block finds it in main, by a link that is not an uplink. To somewhere behind another uplink:
//     the packet came in by the uplink whose mark it wears, so it goes past the rules for marks, on to main.
//  4. Back. The answer belongs to the same connection and gets its mark, in PREROUTING when it was forwarded and in
//     OUTPUT when it is the host's own. The rule for the mark looks in eth1's table: out by eth1's gateway.
//  5. What has no mark (yet) goes by its source: the rules for addresses see to the first look-up of a SYN-ACK, to
//     servers that answer from a bound address, and to hosts without a default route in main.
//
// The way of the data is the order of the files:
//
//	Settings ─┐
//	          ├─ Desired ─→ State (want) ─┐
//	Facts ────┘                           ├─ Diff ─→ Plan ─→ Kernel.Apply, and observed again
//	Kernel.Observe ───────→ State (have) ─┘
package uplinks
