// Package nftables implements marks.Firewall by a table of nftables, without the iptables commands and without a process:
// see marks.NFTTable. One transaction carries a whole change. The table is read again only when the generation of nftables
// has changed, which counts the transactions of all programs in the network namespace.
package nftables
