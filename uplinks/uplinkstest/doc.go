// Package uplinkstest provides a kernel in memory (Fake), and the conformance tests that it and the real kernel pass.
package uplinkstest
