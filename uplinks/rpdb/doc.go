// Package rpdb simulates the kernel's look-up of a packet in the routing policy database (ip-rule(8)) and reports every
// step. It is pure: package rtnl reads a Database, and makes the same look-up in the kernel for comparison. Its rules and
// routes model those of any program; those of package uplinks model our own.
//
// A look-up evaluates rules in the order of their priorities (net/core/fib_rules.c, fib_rules_lookup). A rule that matches
// the packet names a table, and the most specific route in the table decides (net/ipv4/fib_trie.c, net/ipv6/route.c). The
// look-up continues with the next rule when the table has no route, when the route is of type "throw", or when a suppressor
// of the rule rejects it.
//
// As long as no rule was ever added, the kernel merges the tables local and main and takes the most specific route of both;
// here local always comes first.
package rpdb
