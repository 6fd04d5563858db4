package world

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// lifelineFD is where the init stage finds the pipe that ends when the process outside is gone.
const lifelineFD = 3

// runInit returns the first process of the new namespaces: it makes them private, starts the program, passes on signals,
// reaps orphans, and returns the program's exit status. When it exits the kernel kills all that is left inside.
func runInit() int {
	lifeline := os.NewFile(lifelineFD, "lifeline")
	unix.CloseOnExec(lifelineFD)
	go func() {
		lifeline.Read(make([]byte, 1))
		os.Exit(1)
	}()
	if err := makePrivate(); err != nil {
		fmt.Fprintf(os.Stderr, remedy, err)
		return 1
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	cmd := reexec(mountNamespace())
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "world: cannot start the program inside:", err)
		return 1
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	return reapUntil(cmd.Process.Pid)
}

// reapUntil waits for every child, adopted ones too, until the given one has ended.
func reapUntil(pid int) int {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			fmt.Fprintln(os.Stderr, "world: wait:", err)
			return 1
		case ended == pid:
			return exitStatus(status)
		}
	}
}
