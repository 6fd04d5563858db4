package world_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"replypath/test/world"
)

// childVariable has the test binary behave as the program of a world that others watch: it exits with that status, or
// waits for a signal.
const childVariable = "REPLYPATH_WORLD_CHILD"

func TestMain(m *testing.M) {
	world.Enter()
	if behaviour, ok := os.LookupEnv(childVariable); ok {
		os.Exit(behave(behaviour))
	}
	os.Exit(m.Run())
}

func behave(behaviour string) int {
	if status, err := strconv.Atoi(behaviour); err == nil {
		return status
	}
	signals := make(chan os.Signal, 1)
	if behaviour == "catch" {
		signal.Notify(signals, syscall.SIGTERM)
	}
	// These hold the output open, and one of them is an orphan: it shows when either survives.
	cmd := exec.Command("sh", "-c", "sleep 1000 & setsid sleep 1000 & ip netns add left; ip link add left type veth peer name behind")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	if behaviour != "catch" {
		_ = syscall.Pause() // for a signal that ends the process: without cgo, Go ends one whose goroutines all wait for each other
	}
	fmt.Println("caught", <-signals)
	return 3
}
