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

// A sentry hears of a value that changes, of a link that goes, and of another that comes by its name. Beyond the files
// that it keeps open it does so too.
func TestASentrySeesEachChange(t *testing.T) {
	for _, before := range []int{0, 512} {
		t.Run(fmt.Sprintf("behind %d others", before), func(t *testing.T) {
			var paths []string
			for range before {
				paths = append(paths, "net/ipv4/conf/lo/src_valid_mark")
			}
			paths = append(paths, "net/ipv4/conf/d0/src_valid_mark", "net/ipv4/fwmark_reflect")
			h := world.New(t).Host("h")
			h.Do(func() { follow(t, h, paths) })
		})
	}
}

func follow(t *testing.T, h *world.Host, paths []string) {
	var s procfs.Sentry
	defer s.Close()
	s.Keep(paths)
	says := func(link, all string) {
		t.Helper()
		var said bytes.Buffer
		s.Tell(&said)
		want := fmt.Sprintf("%s\x00%s\x00", link, all)
		if got := said.Bytes(); !bytes.HasSuffix(got, []byte("\x00"+want)) && string(got) != want {
			t.Errorf("it tells %q, want %q at the end", got, want)
		}
	}
	says("", "0\n")
	d0 := h.AddLink("d0", "bridge")
	says("0\n", "0\n")
	h.SetSysctl("net.ipv4.conf.d0.src_valid_mark", "1")
	h.SetSysctl("net.ipv4.fwmark_reflect", "1")
	says("1\n", "1\n")
	d0.Delete()
	says("", "1\n")
	d0 = h.AddLink("d0", "bridge")
	says("0\n", "1\n")
	d0.Delete()
	h.SetSysctl("net.ipv4.fwmark_reflect", "0")
	s.Keep(paths[len(paths)-1:])
	var said bytes.Buffer
	if s.Tell(&said); said.String() != "0\n\x00" {
		t.Errorf("of one alone it tells %q", said.String())
	}
}
