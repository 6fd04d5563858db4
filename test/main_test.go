// Package test proves replypath on a real kernel: every test makes its own world of network namespaces, runs the
// program in it as an operator would, and lets packets judge.
package test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"replypath/test/world"
)

// binary is the program under test: built once, as it is shipped, where it vanishes with the world.
const binary = "/run/replypath-under-test"

// programVariable names the program under test where it cannot be built: on a machine without Go.
const programVariable = "REPLYPATH_PROGRAM"

func TestMain(m *testing.M) {
	runProberIfRequested()
	world.Enter()
	runControlClientIfRequested()
	runUDPServerIfRequested()
	if there := os.Getenv(programVariable); there != "" {
		if err := os.Symlink(there, binary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "replypath/cmd/replypath")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program under test: %v\n%s", err, out)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
