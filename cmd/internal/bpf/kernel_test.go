package bpf_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"replypath/cmd/internal/bpf"
	"replypath/test/world"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	inGroup()
	world.Enter()
	os.Exit(m.Run())
}

// open returns the programs of a network namespace without any, and settings for a control group of the test.
func open(t *testing.T) (*bpf.UDP, bpf.Settings) {
	t.Helper()
	group := world.NewCgroup(t)
	u, err := bpf.OpenUDP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Detach(); err != nil {
			t.Error(err)
		}
	})
	return u, bpf.Settings{Mask: 0x1f00, Entries: 128, Cgroup: group}
}

func read(t *testing.T, u *bpf.UDP, s bpf.Settings) bpf.State {
	t.Helper()
	state, err := u.Read(&s)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func attach(t *testing.T, u *bpf.UDP, s bpf.Settings) {
	t.Helper()
	if err := u.Attach(s); err != nil {
		t.Fatal(err)
	}
	if state := read(t, u, s); !state.Present || !state.Current {
		t.Fatalf("after attaching: %+v", state)
	}
}

func TestAttachReplacesProgramsInPlace(t *testing.T) {
	u, s := open(t)
	if state := read(t, u, s); state.Present || state.Current {
		t.Errorf("before: %+v", state)
	}
	attach(t, u, s)
	address := netip.MustParseAddr("192.0.2.2")
	if err := u.SetAddr(address, time.Hour); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]bpf.Settings{
		"mask":    {Mask: 0xff00, Entries: 128, Cgroup: s.Cgroup},
		"outside": {Mask: 0x1f00, Entries: 128, Cgroup: s.Cgroup, OwnToo: true},
		"entries": {Mask: 0x1f00, Entries: 256, Cgroup: s.Cgroup},
		"cgroup":  {Mask: 0x1f00, Entries: 128, Cgroup: subgroup(t, s.Cgroup)},
	} {
		if read(t, u, other).Current {
			t.Errorf("%s: programs of other settings count as current", name)
		}
		attach(t, u, other)
		if read(t, u, s).Current {
			t.Errorf("%s: programs of the settings before count as current", name)
		}
		if left := read(t, u, other).Addrs[address]; left <= 0 || left > time.Hour {
			t.Errorf("%s: the address has %s left: the map should have stayed", name, left)
		}
		attach(t, u, s)
	}
}

// subgroup makes a control group in another one.
func subgroup(t *testing.T, group string) string {
	t.Helper()
	path := filepath.Join(group, "inner")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	return path
}

func TestAddressesHaveALease(t *testing.T) {
	u, s := open(t)
	attach(t, u, s)
	addresses := map[string]time.Duration{"192.0.2.2": time.Hour, "2001:db8:b::2": time.Minute}
	for a, lease := range addresses {
		if err := u.SetAddr(netip.MustParseAddr(a), lease); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]time.Duration{}
	for a, left := range read(t, u, s).Addrs {
		got[a.String()] = left.Truncate(time.Minute) + time.Minute
	}
	if d := cmp.Diff(addresses, got); d != "" {
		t.Error(d)
	}
	for a := range addresses {
		for range 2 { // the second time there is none
			if err := u.DropAddr(netip.MustParseAddr(a)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if state := read(t, u, s); len(state.Addrs) != 0 {
		t.Errorf("after dropping all: %v", state.Addrs)
	}
}

func TestDetachLeavesNothing(t *testing.T) {
	u, s := open(t)
	attach(t, u, s)
	for range 2 {
		if err := u.Detach(); err != nil {
			t.Fatal(err)
		}
	}
	if state := read(t, u, s); state.Present {
		t.Errorf("after detaching: %+v", state)
	}
	if _, err := os.Stat("/sys/fs/bpf/replypath"); !os.IsNotExist(err) {
		t.Errorf("the folder of the pins is left: %v", err)
	}
}

func TestAttachedProgramsThatOthersDamageAreNotCurrent(t *testing.T) {
	u, s := open(t)
	for _, pin := range []string{"asked", "link_ingress", "link_sendmsg4", "link_sendmsg6", "link_connect4", "link_connect6"} {
		attach(t, u, s)
		paths, err := filepath.Glob("/sys/fs/bpf/replypath/*/" + pin)
		if err != nil || len(paths) != 1 {
			t.Fatalf("%s: %v %v", pin, paths, err)
		}
		if err := os.Remove(paths[0]); err != nil {
			t.Fatal(err)
		}
		if read(t, u, s).Current {
			t.Errorf("without %s the programs count as current", pin)
		}
	}
	attach(t, u, s)
}

func TestAttachToACgroupThatIsGoneLeavesNothing(t *testing.T) {
	u, s := open(t)
	s.Cgroup += "-gone"
	if err := u.Attach(s); err == nil {
		t.Error("no error")
	}
	if state := read(t, u, s); state.Present {
		t.Errorf("after the failure: %+v", state)
	}
}
