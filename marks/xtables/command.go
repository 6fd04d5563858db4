package xtables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// longest is how long an iptables command may take, with the time that it waits for the lock.
var longest = 2 * lockWait * time.Second

// call runs a command with this on its standard input, and gives what it answers and what it says beside. One that hangs
// is ended, and what one leaves behind is not waited for.
func call(ctx context.Context, input, path string, args ...string) (answer, said string, err error) {
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd := exec.CommandContext(limited, path, args...)
	cmd.WaitDelay = time.Second
	var out, beside bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &beside
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	err = cmd.Run()
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		err = fmt.Errorf("%s: %w within %s", path, ErrHangs, longest)
	}
	return out.String(), beside.String(), err
}
