package bpf_test

import (
	"errors"
	"testing"

	"replypath/cmd/internal/bpf"

	"golang.org/x/sys/unix"
)

// Where nothing can be pinned, the checks say so before anything is attached.
func TestChecksRefuseAReadOnlyFileSystem(t *testing.T) {
	u, s := open(t)
	filters, err := bpf.OpenEgressFilters()
	if err != nil {
		t.Fatal(err)
	}
	classifiers, err := bpf.OpenRouterClassifiers()
	if err != nil {
		t.Fatal(err)
	}
	checks := map[string]func() error{"filter": filters.Check, "classifier": classifiers.Check, "[udp]": func() error { return u.Check(s) }}
	for _, c := range []struct {
		flags uintptr
		want  error
	}{{unix.MS_RDONLY, unix.EROFS}, {0, nil}} {
		if err := unix.Mount("", "/sys/fs/bpf", "", unix.MS_REMOUNT|c.flags, "mode=700"); err != nil {
			t.Fatal(err)
		}
		for name, check := range checks {
			if err := check(); !errors.Is(err, c.want) {
				t.Errorf("%s, mounted with %#x: %v, want %v", name, c.flags, err, c.want)
			}
		}
	}
}
