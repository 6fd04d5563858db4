// Package marks holds the firewall rules that give every connection of an uplink its mark and copy that mark to the
// connection's packets. Rules, chains, hooks and changes are plain values; a Firewall renders them into one backend of
// the kernel's packet filter and reads them back. The package itself performs no I/O: marks/iptables implements
// Firewall by the iptables commands, marks/nftables by a table of nftables without them; marks/flowtable and
// marks/routercounters write tables of nftables beside every backend; marks/netfilter reads rules from the kernel;
// marks/foreign and marks/dnat inspect the rules of other programs.
package marks
