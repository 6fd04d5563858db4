package world

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is an exec.Cmd that starts in a host's namespace. What still runs when the world ends is killed, with
// all of its process group.
type Command struct {
	*exec.Cmd
	host  *Host
	wait  sync.Once
	ended error
}

// Command prepares a program to run on the host, until ctx is done.
func (h *Host) Command(ctx context.Context, name string, args ...string) *Command {
	c := &Command{Cmd: exec.CommandContext(ctx, name, args...), host: h}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = c.kill
	c.WaitDelay = 20 * time.Second // a busy machine may take long to close the pipes
	return c
}

// Run runs a program on the host and returns what it printed. It fails the test when the program fails.
func (h *Host) Run(name string, args ...string) string {
	h.world.tb.Helper()
	var out, errout bytes.Buffer
	c := h.Command(h.world.ctx, name, args...)
	c.Stdout, c.Stderr = &out, &errout
	if err := c.Run(); err != nil {
		h.world.tb.Fatalf("%s# %s %s: %v\n%s", h.Name, name, strings.Join(args, " "), err, errout.String()+out.String())
	}
	return out.String()
}

// Start starts the program in the host's namespace.
func (c *Command) Start() (err error) {
	c.host.Do(func() { err = c.Cmd.Start() })
	if err == nil {
		c.host.world.atEnd(func() {
			c.kill()
			c.Wait()
		})
	}
	return err
}

// Wait waits for the program to end. It may be called more than once, and from several goroutines.
func (c *Command) Wait() error {
	c.wait.Do(func() { c.ended = c.Cmd.Wait() })
	return c.ended
}

// RunThreaded starts a program with several threads and waits for it. What /proc showed of a thread is removed when that ends, and what it showed
// of the program when it is reaped. If it is reaped at once, while its last thread waits for a CPU in the middle of that, the caller
// spins in the kernel until the thread goes on (shrink_dcache_parent in fs/dcache.c).
func (c *Command) RunThreaded() error {
	if err := c.Start(); err != nil {
		return err
	}
	for unix.Waitid(unix.P_PID, c.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		continue
	}
	time.Sleep(lastThread)
	return c.Wait()
}

// lastThread is how long the last thread of a program may take to end.
const lastThread = 5 * time.Millisecond

// Run starts the program and waits for it.
func (c *Command) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it wrote to its standard output.
func (c *Command) Output() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// CombinedOutput runs the program and returns all it wrote.
func (c *Command) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// kill kills the program's process group, if it has one of its own, and the program.
func (c *Command) kill() error {
	if c.SysProcAttr != nil && c.SysProcAttr.Setpgid {
		if err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return c.Process.Kill()
}

// CPUTime returns the CPU time of the program that runs, without that of its children.
func (c *Command) CPUTime() time.Duration {
	c.host.world.tb.Helper()
	const processClock = 2 // CPUCLOCK_SCHED of a whole process, see clock_getcpuclockid(3)
	var used unix.Timespec
	c.host.must(unix.ClockGettime(int32(^c.Process.Pid)<<3|processClock, &used), "CPU time of %s", c.Path)
	return time.Duration(used.Nano())
}
