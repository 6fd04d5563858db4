package bpf_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"replypath/cmd/internal/bpf"

	"golang.org/x/sys/unix"
)

// inGroupVariable makes the test's program enter a group, which it prints, with the marks of a socket of each family.
const inGroupVariable = "REPLYPATH_TEST_GROUP"

// inGroup does that, and exits.
func inGroup() {
	if os.Getenv(inGroupVariable) == "" {
		return
	}
	if err := printMarks(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func printMarks() error {
	h, err := bpf.OpenHierarchy()
	if err != nil {
		return err
	}
	defer h.Close()
	own, err := h.Own()
	if err != nil {
		return err
	}
	g, err := h.Create(own, "replypath-test-")
	if err != nil {
		return err
	}
	defer g.Close()
	fmt.Println(g.Path)
	for mark, mask := range map[uint32]uint32{0x10000: 0xff0000, 0xffffffff: 0x200, 0x80000000: 0xf0000000} {
		if err := g.MarkSockets(mark, mask); err != nil {
			return err
		}
	}
	if err := g.Enter(); err != nil {
		return err
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		mark, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK)
		if err != nil {
			return err
		}
		fmt.Printf("%#x\n", uint32(mark))
	}
	return nil
}

// Other bits of a mark stay as they are, in both families, and an empty group can be removed.
func TestMarksOfSocketsAreMasked(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), inGroupVariable+"=1")
	out, err := cmd.CombinedOutput()
	lines := bytes.Fields(out)
	if err != nil || len(lines) != 3 || string(lines[1]) != "0x80010200" || string(lines[2]) != "0x80010200" {
		t.Fatalf("%v\n%s", err, out)
	}
	h, err := bpf.OpenHierarchy()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	group := string(lines[0])
	if err := errors.Join(h.AwaitEmpty(group), h.Remove(group), h.Remove(group)); err != nil {
		t.Error(err)
	}
	if err := h.AwaitEmpty(group); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group is still there: %v", err)
	}
}
