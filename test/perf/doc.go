// Package perf holds the benchmarks of the whole program, with bounds that they fail beyond. It has no tests.
package perf
