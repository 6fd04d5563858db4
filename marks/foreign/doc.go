// Package foreign reads the firewall rules of other programs, for what of them can affect the marks of package marks:
// from the output of iptables and iptables-save, and from the expressions of nftables.
package foreign
