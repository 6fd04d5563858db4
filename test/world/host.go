package world

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Host is a network namespace without a name: it lives as long as its world, and must not be used after that. Its
// methods that make links, addresses and routes are for one goroutine; all others may be called from many.
type Host struct {
	Name  string
	world *World
	net   *os.File // the namespace
	rtnl  *netlink.Handle
	links map[string]*Link
}

func newHost(w *World, name string) *Host {
	w.tb.Helper()
	h := &Host{Name: name, world: w, links: map[string]*Link{}}
	var err error
	if h.net, err = newNamespace(); err != nil {
		w.tb.Fatalf("host %s: %v", name, err)
	}
	if h.rtnl, err = netlink.NewHandleAt(netns.NsHandle(h.net.Fd()), unix.NETLINK_ROUTE); err != nil {
		w.tb.Fatalf("host %s: %v", name, err)
	}
	h.disableNoise()
	h.adopt("lo").Up()
	return h
}

// Do runs f on a thread that is in the host's namespace: sockets that f makes, and files of /proc/sys/net and
// /proc/thread-self/net that it opens, are the host's. Goroutines that f starts are not in the namespace.
func (h *Host) Do(f func()) {
	err := inNamespace(func() error { return unix.Setns(int(h.net.Fd()), unix.CLONE_NEWNET) }, f)
	if err != nil {
		panic(fmt.Sprintf("world: enter %s: %v", h.Name, err))
	}
}

// newNamespace makes a network namespace and returns a file that keeps it.
func newNamespace() (file *os.File, err error) {
	var opened error
	err = inNamespace(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() {
		file, opened = os.Open("/proc/thread-self/ns/net")
	})
	if err == nil {
		err = opened
	}
	return file, err
}

// inNamespace takes the calling thread elsewhere by move, runs f, and brings the thread back.
func inNamespace(move func() error, f func()) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(fmt.Sprintf("world: a thread cannot come home: %v", err))
		}
		home.Close()
		runtime.UnlockOSThread()
	}()
	if err := move(); err != nil {
		return err
	}
	f()
	return nil
}

// must fails the test when err is set.
func (h *Host) must(err error, format string, args ...any) {
	h.world.tb.Helper()
	if err != nil {
		h.world.tb.Fatalf("host %s: %s: %v", h.Name, fmt.Sprintf(format, args...), err)
	}
}

func (h *Host) close() {
	h.rtnl.Close()
	h.net.Close()
}
