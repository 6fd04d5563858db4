package world

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// forwarded are the signals that are passed on to the program inside.
var forwarded = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
}

const remedy = `world: cannot make namespaces: %v
The packet tests build hosts out of network namespaces. They need one of:
  root with CAP_SYS_ADMIN and CAP_NET_ADMIN       sudo, or: docker run --privileged
  user namespaces for everybody                   sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000
                                                  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
`

// runOutside starts the init stage and returns its exit status. The init stage reads from a pipe whose other end
// only this process holds: when this process is gone, by whatever cause, the kernel closes it.
func runOutside() int {
	lifeline, held, err := os.Pipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, "world:", err)
		return 1
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	cmd, err := startInit(lifeline)
	if err != nil {
		fmt.Fprintf(os.Stderr, remedy, err)
		return 1
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	held.Close()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "world:", err)
		return 1
	}
	return exitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus))
}

// startInit starts the init stage: as it is when we are root, else, or when root may not, in a user namespace too.
func startInit(lifeline *os.File) (*exec.Cmd, error) {
	var errs []error
	for _, user := range []bool{false, true} {
		if !user && os.Geteuid() != 0 {
			continue
		}
		cmd := reexec(initStage)
		cmd.ExtraFiles = []*os.File{lifeline} // descriptor lifelineFD
		cmd.SysProcAttr = namespaces(user)
		err := cmd.Start()
		if err == nil {
			return cmd, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// namespaces asks for new namespaces and for a process group of its own: a Ctrl-C of the terminal reaches only the
// process outside, which passes it on, so that no process gets it twice.
func namespaces(user bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		Setpgid:    true,
	}
	if user {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attr
}
