package procfs_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"replypath/test/world"
	"replypath/uplinks/procfs"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

// The reader reports a value that changes, a link that is deleted, and another link with the same name, also for files
// beyond those that it keeps open.
func TestSysctlReaderReportsEachChange(t *testing.T) {
	for _, count := range []int{0, 512} {
		t.Run(fmt.Sprintf("after %d others", count), func(t *testing.T) {
			var paths []string
			for range count {
				paths = append(paths, "net/ipv4/conf/lo/src_valid_mark")
			}
			paths = append(paths, "net/ipv4/conf/d0/src_valid_mark", "net/ipv4/fwmark_reflect")
			h := world.New(t).Host("h")
			h.Do(func() { checkReader(t, h, paths) })
		})
	}
}

func checkReader(t *testing.T, h *world.Host, paths []string) {
	var s procfs.SysctlReader
	defer s.Close()
	s.SetPaths(paths)
	expect := func(link, all string) {
		t.Helper()
		got := s.AppendValues(nil)
		want := fmt.Sprintf("%s\x00%s\x00", link, all)
		if !bytes.HasSuffix(got, []byte("\x00"+want)) && string(got) != want {
			t.Errorf("got %q, want %q at the end", got, want)
		}
	}
	expect("", "0\n")
	d0 := h.AddLink("d0", "bridge")
	expect("0\n", "0\n")
	h.SetSysctl("net.ipv4.conf.d0.src_valid_mark", "1")
	h.SetSysctl("net.ipv4.fwmark_reflect", "1")
	expect("1\n", "1\n")
	d0.Delete()
	expect("", "1\n")
	d0 = h.AddLink("d0", "bridge")
	expect("0\n", "1\n")
	d0.Delete()
	h.SetSysctl("net.ipv4.fwmark_reflect", "0")
	s.SetPaths(paths[len(paths)-1:])
	if got := s.AppendValues(nil); string(got) != "0\n\x00" {
		t.Errorf("of a single sysctl: got %q", got)
	}
}
