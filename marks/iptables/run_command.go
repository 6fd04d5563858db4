package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// commandTimeout is how long an iptables command may take, with the time that it waits for the lock.
var commandTimeout = 2 * lockWaitSeconds * time.Second

// runCommand runs a command with this on its standard input, and gives what it answers and what it says beside. One that hangs
// is ended, and what one leaves behind is not waited for.
func runCommand(ctx context.Context, input, path string, args ...string) (stdout, stderr string, err error) {
	limited, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(limited, path, args...)
	cmd.WaitDelay = time.Second
	var outBuf, errBuf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &outBuf, &errBuf
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	err = cmd.Run()
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		err = fmt.Errorf("%s: %w within %s", path, ErrTimeout, commandTimeout)
	}
	return outBuf.String(), errBuf.String(), err
}
