// Package hook runs the programs of on_change for events, as root.
//
// runner.go queues the events and runs the programs one at a time, program.go runs one program with a timeout in a process
// group of its own, output.go limits its output in the log, and executable.go opens the
// program, so that what runs is what was checked, and refuses one that another user could modify.
package hook
