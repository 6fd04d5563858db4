// Package outbound tests which uplink connections take that begin on the gateway or behind it: with packets, at ISPs that
// refuse and record foreign sources, under strict source validation, in both families and with both iptables backends.
package outbound
