// Package uplinkstest has a kernel in memory, and the promises that it and the real one keep.
package uplinkstest
