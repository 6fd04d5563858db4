package box

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// RunProgram starts a program of the machine on the gateway, until stop or the end of the test. Its output is logged if the test
// fails.
func (b *Box) RunProgram(t *testing.T, name string, args ...string) (process *os.Process, stop func()) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: make test installs it", err)
	}
	output := &strings.Builder{}
	c := b.Gateway.Command(t.Context(), name, args...)
	c.Stdout, c.Stderr = output, output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			c.Process.Kill()
			<-ended
		}
	}
	t.Cleanup(func() {
		if stop(); t.Failed() {
			t.Logf("%s said:\n%s", name, output)
		}
	})
	return c.Process, stop
}
