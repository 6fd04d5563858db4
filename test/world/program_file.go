package world

import (
	"os"
	"syscall"
	"testing"
)

// WriteProgram writes a file that is executed afterwards, readable and executable as mode says. While it is open nothing is forked: a
// child that inherits the descriptor for a moment would make execve(2) fail with ETXTBSY.
func WriteProgram(tb testing.TB, path string, text []byte, mode os.FileMode) {
	tb.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, text, mode)
	syscall.ForkLock.RUnlock()
	if err != nil {
		tb.Fatal(err)
	}
}
