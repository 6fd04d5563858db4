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

// What is read in turns is seen with the eighth reading at the latest, and what is read for the first time at once.
func TestSysctlsThatAreReadInTurns(t *testing.T) {
	h := world.New(t).Host("h")
	var paths []string
	for i := range 9 {
		h.AddLink(fmt.Sprintf("d%d", i), "bridge")
		paths = append(paths, fmt.Sprintf("net/ipv4/conf/d%d/src_valid_mark", i))
	}
	h.Do(func() {
		for atLeast, most := range map[int]int{1: 5, 4: 3, 9: 1} {
			var s procfs.SysctlReader
			s.SetPaths(paths)
			for i := range paths {
				before := s.AppendNext(nil, atLeast)
				if all := s.AppendValues(nil); !bytes.Equal(before, all) {
					t.Errorf("at first %q is read, not %q", before, all)
				}
				h.SetSysctl(fmt.Sprintf("net.ipv4.conf.d%d.src_valid_mark", i), "1")
				calls := 1
				for ; bytes.Equal(s.AppendNext(nil, atLeast), before) && calls < 10; calls++ {
				}
				if now, all := s.AppendNext(nil, atLeast), s.AppendValues(nil); calls > most || !bytes.Equal(now, all) {
					t.Errorf("%d in a turn: a change of the sysctl %d is seen with call %d, at last %q, not %q", atLeast, i, calls, now, all)
				}
				h.SetSysctl(fmt.Sprintf("net.ipv4.conf.d%d.src_valid_mark", i), "0")
				s.AppendValues(nil)
			}
			s.Close()
		}
	})
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
