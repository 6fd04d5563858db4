// Package dnat simulates the destination NAT of other programs: which requests no socket of the host receives, as DNAT sends
// them to another host or to another port. It reads the rules of iptables, in both backends, from the output of iptables-save,
// and those of nft(8) from the kernel.
package dnat
