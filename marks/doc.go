// Package marks decides what every packet wears: which connection gets which mark, and where the mark is
// copied to the packet. It is pure; marks/iptables carries its rules into the kernel.
package marks
