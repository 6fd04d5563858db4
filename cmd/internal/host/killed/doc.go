// Package killed tests by packets what a process that is killed after any of its writes to the kernel leaves: a host on which
// connections go on, and that the next process completes, or empties.
package killed
