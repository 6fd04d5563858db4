// Package house tests the source code itself: which package imports what, how files are named, and that no test can skip.
// Its tests need no root, no namespace and no binary.
package house
