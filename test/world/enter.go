package world

import (
	"os"
	"os/exec"
	"syscall"
)

// stageVariable names the stage of a process: absent outside, "init" for the first process of the new
// namespaces, and the name of the mount namespace for everything that runs inside.
const stageVariable = "REPLYPATH_WORLD"

const initStage = "init"

// Enter runs the current program again as root of new mount, network and process namespaces, and returns only
// there. Outside it passes on signals, waits, and exits with the status of the program inside. Whatever happens to
// the process outside, all that was inside dies with it. Where namespaces are forbidden it prints an error and exits with 1.
//
// The program inside has the same arguments, folder and output. It cannot read from a terminal.
func Enter() {
	switch {
	case Inside():
		return
	case os.Getenv(stageVariable) == initStage && os.Getpid() == 1:
		os.Exit(runInit())
	default:
		os.Exit(runOutside())
	}
}

// Inside reports whether this process runs in namespaces that Enter made.
func Inside() bool {
	stage := os.Getenv(stageVariable)
	return stage != "" && stage == mountNamespace()
}

func mountNamespace() string {
	name, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return ""
	}
	return name
}

// reexec returns the current program with the same arguments, at another stage.
func reexec(stage string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVariable+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// exitStatus returns the status a shell would report.
func exitStatus(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
