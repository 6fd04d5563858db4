package bpf_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"replypath/cmd/internal/bpf"
	"replypath/test/world"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// newLink makes a link for the test, and returns its index.
func newLink(t *testing.T, name string) int {
	t.Helper()
	run := func(arguments ...string) {
		if out, err := exec.Command("ip", arguments...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", arguments, err, out)
		}
	}
	run("link", "add", name, "type", "veth")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", name).Run() }) // unless the test has deleted it
	made, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return made.Index
}

func openFilters(t *testing.T) *bpf.EgressFilters {
	t.Helper()
	world.MountBPF(t)
	e, err := bpf.OpenEgressFilters()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	return e
}

// filter returns a filter that drops these networks.
func filter(drop ...string) (f bpf.EgressFilter) {
	for _, p := range drop {
		f.Drop = append(f.Drop, netip.MustParsePrefix(p))
	}
	return f
}

func setFilter(t *testing.T, e *bpf.EgressFilters, index int, f bpf.EgressFilter) {
	t.Helper()
	if err := e.Set(index, f); err != nil {
		t.Fatal(err)
	}
}

func wantFilters(t *testing.T, when string, e *bpf.EgressFilters, want map[int]bpf.EgressFilter) {
	t.Helper()
	got, err := e.Read()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("%s: %s", when, d)
	}
}

// attached returns the programs at the egress of the link, in their order.
func attached(t *testing.T, index int) (all []ebpf.ProgramID) {
	t.Helper()
	found, err := link.QueryPrograms(link.QueryOptions{Target: index, Attach: ebpf.AttachTCXEgress})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found.Programs {
		all = append(all, p.ID)
	}
	return all
}

// awaitOneProgram waits until a hook of the link has one program: the kernel detaches one whose last pin is gone a little later.
func awaitOneProgram(t *testing.T, when string, index int, hook ebpf.AttachType) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		found, err := link.QueryPrograms(link.QueryOptions{Target: index, Attach: hook})
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Programs) == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: the programs are %v", when, found.Programs)
		}
	}
}

func TestFiltersAreReplacedInPlace(t *testing.T) {
	e := openFilters(t)
	first, second := newLink(t, "rp-first"), newLink(t, "rp-second")
	both := filter("198.18.0.0/24", "2001:db8:f::/64")
	both.Pass = []netip.Prefix{netip.MustParsePrefix("198.18.0.8/32")}
	setFilter(t, e, first, both)
	setFilter(t, e, second, filter("198.18.1.0/24"))
	wantFilters(t, "two links", e, map[int]bpf.EgressFilter{first: both, second: filter("198.18.1.0/24")})
	for _, f := range []bpf.EgressFilter{filter("2001:db8:f::/64"), both} {
		before := attached(t, first)
		setFilter(t, e, first, f)
		if after := attached(t, first); len(before) != 1 || len(after) != 1 || after[0] == before[0] {
			t.Errorf("the programs were %v and are %v", before, after)
		}
		wantFilters(t, "another filter", e, map[int]bpf.EgressFilter{first: f, second: filter("198.18.1.0/24")})
	}
	for _, index := range []int{first, second, second} {
		if err := e.Delete(index); err != nil {
			t.Error(err)
		}
	}
	wantFilters(t, "deleted", e, nil)
	if len(attached(t, first))+len(attached(t, second)) > 0 {
		t.Error("programs are left")
	}
	if _, err := os.Stat("/sys/fs/bpf/replypath"); !os.IsNotExist(err) {
		t.Errorf("the folder of the pins is left: %v", err)
	}
}

// Programs of others keep their place before the filter, whose verdict leaves packets to those behind it.
func TestProgramsOfOthersAtEgressStay(t *testing.T) {
	e := openFilters(t)
	index := newLink(t, "rp-shared")
	other, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "other", Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXEgress, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: other, Attach: ebpf.AttachTCXEgress})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	info, err := other.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	for _, f := range []bpf.EgressFilter{filter("198.18.0.0/24"), filter("2001:db8:f::/64")} {
		setFilter(t, e, index, f)
		if all := attached(t, index); len(all) != 2 || all[0] != id {
			t.Errorf("the programs are %v; that of another program is %d", all, id)
		}
	}
	if err := e.Delete(index); err != nil {
		t.Error(err)
	}
	if all := attached(t, index); len(all) != 1 || all[0] != id {
		t.Errorf("in the end the programs are %v; that of another program is %d", all, id)
	}
}

// linkDamage returns what other programs can do to the program of a link, whose map is pinned under a name that begins with data.
func linkDamage(pin func(kind string) string, data string, attach ebpf.AttachType) map[string]func() error {
	return map[string]func() error{
		"no link":    func() error { return os.Remove(pin("link")) },
		"no program": func() error { return os.Remove(pin("program")) },
		"no map":     func() error { return os.Remove(pin(data)) },
		"detached": func() error {
			l, err := link.LoadPinnedLink(pin("link"), nil)
			if err != nil {
				return err
			}
			return errors.Join(l.Detach(), l.Close())
		},
		"another program": func() error {
			l, err := link.LoadPinnedLink(pin("link"), nil)
			if err != nil {
				return err
			}
			p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, AttachType: attach, License: "GPL",
				Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
			if err != nil {
				return err
			}
			return errors.Join(l.Update(p), p.Close(), l.Close())
		},
	}
}

func TestDamagedFiltersAreSetAgain(t *testing.T) {
	e := openFilters(t)
	index := newLink(t, "rp-damaged")
	want := filter("198.18.0.0/24", "2001:db8:f::/64")
	pin := func(kind string) string {
		paths, err := filepath.Glob("/sys/fs/bpf/replypath/egress-*/" + kind + "_*")
		if err != nil || len(paths) != 1 {
			t.Fatalf("%s: %v %v", kind, paths, err)
		}
		return paths[0]
	}
	for name, damage := range linkDamage(pin, "networks", ebpf.AttachTCXEgress) {
		setFilter(t, e, index, want)
		if err := damage(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantFilters(t, name, e, map[int]bpf.EgressFilter{index: {}})
		setFilter(t, e, index, want)
		wantFilters(t, "after "+name, e, map[int]bpf.EgressFilter{index: want})
		awaitOneProgram(t, "after "+name, index, ebpf.AttachTCXEgress)
	}
}

// The filter of a link ends with the link, and what is pinned can be deleted.
func TestFilterOfALinkThatIsGone(t *testing.T) {
	e := openFilters(t)
	index := newLink(t, "rp-gone")
	setFilter(t, e, index, filter("198.18.0.0/24"))
	if out, err := exec.Command("ip", "link", "del", "rp-gone").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantFilters(t, "the link is gone", e, map[int]bpf.EgressFilter{index: {}})
	if err := e.Set(index, filter("198.18.0.0/24")); !errors.Is(err, unix.ENODEV) {
		t.Errorf("a filter of a link that is gone: %v", err)
	}
	if err := e.Delete(index); err != nil {
		t.Error(err)
	}
	wantFilters(t, "deleted", e, nil)
}
