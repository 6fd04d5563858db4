// Package flowtable writes the table of a marks.FlowTable to the kernel and reads it back, and lists the flow tables of other
// programs.
package flowtable
