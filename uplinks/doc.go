// Package uplinks computes the routing policy for a host with several uplinks: which rules, routes, chains and sysctls it
// needs so that every reply leaves by the uplink of its request, and which uplink connections from inside take. The package is
// pure. Packages rtnl, procfs and networkd, marks/iptables and marks/nftables, and cmd/internal/bpf read from and write to the
// kernel.
//
// A client on the Internet opens a connection to the address of the second uplink, eth1; main's default route is by eth0.
//
//  1. Ingress by eth1. The connection has no mark and the packet is of its original direction, so the connection gets
//     eth1's mark, and the packet gets the connection's mark (package marks).
//  2. Source validation. Strict rp_filter looks up the way back, with the mark, since src_valid_mark is on for eth1: the
//     rule for the mark leads to eth1's table, so the packet is accepted. A forged LAN source is dropped: main has a
//     route to the LAN.
//  3. Routing the request. For a service of the host, table local comes first. For a LAN host or a container, after
//     DNAT, the first rule of the block finds the route in main, by a link that is not an uplink. For a destination
//     behind another uplink a goto skips the rules for marks, as the packet came in by the uplink of its mark: main
//     decides.
//  4. Routing the reply. It belongs to the same connection and gets its mark, in PREROUTING if it is forwarded and in
//     OUTPUT if it is the host's own. The rule for the mark looks up eth1's table: the reply leaves by eth1's gateway.
//  5. A packet without a mark is routed by its source address. The rules for addresses cover the first look-up of a
//     SYN-ACK, servers that reply from a bound address, and hosts without a default route in main.
//
// The flow of data:
//
//	Settings ─┐
//	Facts ────┼─ Desired ─→ State (want) ─┐
//	Verdicts ─┘                           ├─ Diff ─→ Plan ─→ Kernel.Apply, then Observe again
//	Kernel.Observe ───────→ State (have) ─┘
//
// Files: settings.go, facts.go, verdicts.go and state.go hold the inputs and the state; desired.go composes the purposes
// within their blocks of numbers (layout.go): replies (replies_*.go), several routers on one link (routers.go, router_*.go,
// found_routers.go), outbound connections (outbound_*.go, backup.go, egress_filter.go), transparent proxies
// (interception.go), UDP servers (udp_answers.go) and flow tables (acceleration.go). plan.go, plan_chains.go and step*.go
// make steps of a difference, mark_moves.go, mark_ends.go and exchanged_ids.go for open connections of uplinks that get other ids;
// sync.go and change.go execute them; scope.go restricts all of it to a part of the host.
package uplinks
