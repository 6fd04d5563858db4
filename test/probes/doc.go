// Package probes tests the health probes on a real kernel: each leaves by its uplink, and each failure is named. The probes
// run in a process of their own on the gateway, which is the test binary.
package probes
