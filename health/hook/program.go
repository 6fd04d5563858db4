package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"replypath/health"

	"golang.org/x/sys/unix"
)

// maxOutput is the number of bytes of a program's output that are logged.
const maxOutput = 4 << 10

// run runs a program for an event and logs the result.
func (r *Runner) run(ctx context.Context, program string, e health.Event) {
	if ctx.Err() != nil {
		return
	}
	log := r.log.With("program", program, "event", e.ID)
	x, err := openProgram(program)
	if err != nil {
		log.Error("on_change: program not run", "err", err)
		return
	}
	defer x.close()
	r.onOpen(x)
	output := &limitedBuffer{limit: maxOutput}
	begun := time.Now()
	err = r.execute(ctx, program, x, e, output)
	log = log.With("took", time.Since(begun).Round(time.Millisecond))
	if text := output.String(); text != "" {
		log = log.With("output", text)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		log.Warn("on_change: program failed", "err", err)
	case output.String() != "":
		log.Info("on_change: program finished")
	default:
		log.Debug("on_change: program finished")
	}
}

var errTimeout = errors.New("killed")

// execute runs the program in a process group of its own, and kills all of the group that is left when it exits.
func (r *Runner) execute(ctx context.Context, program string, x *executable, e health.Event, output *limitedBuffer) error {
	document, err := json.Marshal(e)
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{Path: x.path(), Args: x.args, ExtraFiles: x.files}
	cmd.Dir = "/"
	cmd.Env = append(environment(e), "REPLYPATH_PROGRAM="+program)
	cmd.Stdin = bytes.NewReader(append(document, '\n'))
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // a process that has left the group may keep the output open
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	reason := make(chan error, 1)
	exited := make(chan struct{})
	go func() { reason <- killWhenDone(ctx, r.timeout, cmd.Process.Pid, exited) }()
	// The group ID is not reused before its leader is reaped, so that kill hits no other group.
	waitExit(cmd.Process.Pid)
	close(exited)
	killErr := <-reason
	killGroup(cmd.Process.Pid)
	err = cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if killErr != nil {
		return killErr
	}
	return err
}

// killWhenDone kills the group at the timeout or the end of the context, and returns which it was.
func killWhenDone(ctx context.Context, limit time.Duration, group int, exited <-chan struct{}) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		killGroup(group)
		return ctx.Err()
	case <-timer.C:
		killGroup(group)
		return fmt.Errorf("%w: it ran for more than %s", errTimeout, limit)
	}
}

func killGroup(group int) { _ = unix.Kill(-group, unix.SIGKILL) } // ESRCH: it has exited

// waitExit waits until the process has exited, without reaping it.
func waitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// environment returns the whole environment of a program. It has nothing of the service's own.
func environment(e health.Event) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		"REPLYPATH_ID=" + strconv.FormatUint(e.ID, 10), "REPLYPATH_EVENT=" + e.Kind, "REPLYPATH_UPLINK=" + e.Uplink,
		"REPLYPATH_INTERFACE=" + e.Interface, "REPLYPATH_FAMILY=" + e.Family, "REPLYPATH_POLICY=" + e.Policy, "REPLYPATH_FROM=" + e.From, "REPLYPATH_TO=" + e.To}
	for i, v := range env {
		env[i] = strings.ReplaceAll(v, "\x00", "")
	}
	return env
}
