// Package routercounters writes the table of a marks.RouterCounters to the kernel, compares it with a definition, and reads its
// counters.
package routercounters
