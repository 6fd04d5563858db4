package world

// TB is the part of testing.TB that a world needs: *testing.T is one, and a program that is no test can bring its own.
// Fatalf must not return, and functions given to Cleanup must run in reverse when the work is done.
type TB interface {
	Helper()
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}
