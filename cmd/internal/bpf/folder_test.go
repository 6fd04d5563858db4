package bpf_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"replypath/cmd/internal/bpf"
	"replypath/test/world"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace that nothing but a thread holds.
type namespace struct {
	cookie uint64
	work   chan func()
	done   chan struct{}
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	n := &namespace{work: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // for good, as the thread may stay in the namespace if it cannot return
		before, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			t.Error(err)
			return
		}
		defer before.Close()
		for f := range n.work {
			f()
			n.done <- struct{}{}
		}
		// The end of the goroutine alone does not end the namespace: the first thread of a process never ends.
		if err := unix.Setns(int(before.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		close(n.done)
	}()
	n.do(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.cookie, err = world.NetnsCookie()
		}
		if err != nil {
			t.Error(err)
		}
	})
	return n
}

// end makes the thread leave the namespace, which nothing holds then.
func (n *namespace) end() {
	close(n.work)
	<-n.done
}

func (n *namespace) do(f func()) {
	n.work <- f
	<-n.done
}

// pinEverything pins programs of every kind for the namespace, those of links for its loopback link.
func (n *namespace) pinEverything(t *testing.T, s bpf.Settings) {
	t.Helper()
	const loopback = 1
	n.do(func() {
		u, err := bpf.OpenUDP()
		if err == nil {
			err = u.Attach(s)
		}
		if err != nil {
			t.Error(err)
		}
		filters, err := bpf.OpenEgressFilters()
		if err == nil {
			err = filters.Set(loopback, filter("198.18.0.0/24"))
		}
		if err != nil {
			t.Error(err)
		}
		classifiers, err := bpf.OpenRouterClassifiers()
		if err == nil {
			err = classifiers.Set(loopback, classifier(2, 1))
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// folders returns the names of the folders of the namespace, sorted.
func (n *namespace) folders() []string {
	return []string{fmt.Sprint(n.cookie), fmt.Sprintf("egress-%d", n.cookie), fmt.Sprintf("ingress-%d", n.cookie)}
}

// endTime is how long the kernel may take to end a namespace, on a machine where many others end.
const endTime = 10 * time.Minute

const foldersOfPins = "/sys/fs/bpf/replypath"

// What is pinned for a network namespace stays as long as that exists, and is removed by the next namespace that pins something when it
// has ended, but for what an earlier version has pinned, which does not tell.
func TestPinsOfEndedNamespacesAreRemoved(t *testing.T) {
	own, s := open(t)
	lives, ends := newNamespace(t), newNamespace(t)
	defer lives.end()
	for _, n := range []*namespace{lives, ends} {
		n.pinEverything(t, s)
	}
	unknown := foldersOfPins + "/egress-1"
	if err := os.Mkdir(unknown, 0o700); err != nil {
		t.Fatal(err)
	}
	want := append(lives.folders(), "egress-1")
	// pinned returns the folders, but that of this namespace, which pins something and removes it.
	pinned := func() (names []string) {
		t.Helper()
		attach(t, own, s)
		if err := own.Detach(); err != nil {
			t.Fatal(err)
		}
		all, err := os.ReadDir(foldersOfPins)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			names = append(names, f.Name())
		}
		return names
	}
	both := append(slices.Clone(want), ends.folders()...)
	slices.Sort(both)
	if d := cmp.Diff(both, pinned()); d != "" {
		t.Fatalf("while both namespaces exist: %s", d)
	}
	ends.end()
	slices.Sort(want)
	var names []string
	// One worker of the kernel ends the namespaces of the whole machine, one after the other.
	for late := time.Now().Add(endTime); ; time.Sleep(100 * time.Millisecond) {
		if names = pinned(); len(names) <= len(want) || time.Now().After(late) {
			break
		}
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("when one has ended: %s", d)
	}
	if n := len(attachedToGroup(t, s.Cgroup)); n != 1 {
		t.Errorf("%d programs are attached to the control group, want that of the namespace that exists", n)
	}
	lives.do(func() {
		u, err := bpf.OpenUDP()
		if err != nil {
			t.Error(err)
		} else if state, err := u.Read(&s); err != nil || !state.Current {
			t.Errorf("in the namespace that exists: %+v, %v", state, err)
		}
	})
}

// attachedToGroup returns the programs of one hook of the control group.
func attachedToGroup(t *testing.T, path string) []link.AttachedProgram {
	t.Helper()
	group, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	found, err := link.QueryPrograms(link.QueryOptions{Target: int(group.Fd()), Attach: ebpf.AttachCGroupInetIngress})
	if err != nil {
		t.Fatal(err)
	}
	return found.Programs
}
