package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"replypath/marks"
)

// commandTimeout limits the run of an iptables command, including its wait for the xtables lock.
var commandTimeout = 2 * lockWaitSeconds * time.Second

// runCommand runs a command with this standard input and returns its output. It kills a command that exceeds
// commandTimeout, and does not wait for processes that a command leaves behind.
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

// restore runs the restore command with this input.
func (t *Table) restore(ctx context.Context, input string) error {
	_, err := t.runRestore(ctx, input)
	return err
}

// runRestore runs the restore command with this input and further options, and returns its standard error.
func (t *Table) runRestore(ctx context.Context, input string, options ...string) (stderr string, err error) {
	_, stderr, err = runCommand(ctx, input, t.restorePath, append(options, "--noflush", "-w", fmt.Sprint(lockWaitSeconds))...)
	if err == nil {
		return stderr, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: load the mangle chains: %w", t.command, ctx.Err())
	}
	return "", t.classify("load the mangle chains", fmt.Errorf("%s: %w", stderr, err))
}

// runIptables runs the iptables command on the mangle table and returns its output. It waits for the xtables lock.
func (t *Table) runIptables(ctx context.Context, args ...string) (string, error) {
	stdout, stderr, err := runCommand(ctx, "", t.path, append([]string{"-w", fmt.Sprint(lockWaitSeconds), "-t", marks.MangleTable}, args...)...)
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", stderr, err)
	}
	return stdout, nil
}

// Load loads lines of iptables-restore(8) in one transaction: all of them or none. What they do not name stays.
func (t *Table) Load(ctx context.Context, lines string) error { return t.restore(ctx, lines) }
