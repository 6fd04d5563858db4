// Package rpdb walks the routing policy database (ip-rule(8)) for one packet, as the kernel does, and tells what it met on
// the way. It is pure: package rtnl reads a Database, and asks the kernel the same question.
//
// A look-up asks rules in their order (net/core/fib_rules.c, fib_rules_lookup). A rule that selects the packet names a
// table; the table's most specific route answers (net/ipv4/fib_trie.c, net/ipv6/route.c). The next rule is asked when
// the table has no answer, has one that says "throw", or when the rule's suppressors do not take it.
//
// The kernel keeps local and main together, and asks the most specific of both, as long as nobody has ever added a rule;
// here local always comes first.
package rpdb
