package bpf_test

import (
	"errors"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"

	"replypath/cmd/internal/bpf"
	"replypath/test/world"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// classifier returns one with as many routers, and as many hardware addresses that are known.
func classifier(routers, known int) bpf.RouterClassifier {
	c := bpf.RouterClassifier{Mask: 0x1f00, IPv4: true}
	for n := range routers {
		c.Routers = append(c.Routers, bpf.Router{Mark: uint32(n+1) << 8, Table: uint32(8201 + n), Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})})
	}
	for n := range known {
		c.Known = append(c.Known, bpf.KnownRouter{MAC: [6]byte{2, 0, 0, 0, 0, byte(n)}, Mark: 0x100})
	}
	return c
}

// classifierTest is a link whose classifiers are read and set.
type classifierTest struct {
	*testing.T
	all   *bpf.RouterClassifiers
	index int
}

// check wants the classifiers.
func (t classifierTest) check(when string, want map[int]bpf.RouterClassifier) {
	t.Helper()
	got, err := t.all.Read()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("%s: %s", when, d)
	}
}

// set sets a classifier of the link, which has one program then.
func (t classifierTest) set(when string, c bpf.RouterClassifier) {
	t.Helper()
	if err := t.all.Set(t.index, c); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	t.check(when, map[int]bpf.RouterClassifier{t.index: c})
	awaitOneProgram(t.T, when, t.index, ebpf.AttachTCXIngress)
}

// pin returns the path of what is pinned for the link.
func (t classifierTest) pin(kind string) string {
	t.Helper()
	paths, err := filepath.Glob("/sys/fs/bpf/replypath/ingress-*/" + kind + "_*")
	if err != nil || len(paths) != 1 {
		t.Fatalf("%s: %v %v", kind, paths, err)
	}
	return paths[0]
}

// A classifier is replaced in place, one that another program has damaged is set again, and one of a link that is gone can be deleted.
func TestClassifiersAreReadAndSetAgain(t *testing.T) {
	world.MountBPF(t)
	r, err := bpf.OpenRouterClassifiers()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	index := newLink(t, "rp-classify")
	c := classifierTest{t, r, index}
	c.check("at first", nil)
	for _, next := range []bpf.RouterClassifier{classifier(2, 2), classifier(2, 5), classifier(64, 0), classifier(3, 1)} {
		c.set("changed", next)
	}
	for name, damage := range linkDamage(c.pin, "routers", ebpf.AttachTCXIngress) {
		if err := damage(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c.check(name, map[int]bpf.RouterClassifier{index: {}})
		c.set("after "+name, classifier(2, 1))
	}
	if out, err := exec.Command("ip", "link", "del", "rp-classify").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.check("the link is gone", map[int]bpf.RouterClassifier{index: {}})
	if err := r.Set(index, classifier(2, 1)); !errors.Is(err, unix.ENODEV) {
		t.Errorf("a classifier of a link that is gone: %v", err)
	}
	if err := r.Delete(index); err != nil {
		t.Error(err)
	}
	c.check("deleted", nil)
}
