package systemd

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"replypath/uplinks"
)

// newRoot writes the files of a host, by their paths, and returns its root.
func newRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestSysctlSourcesFollowPrecedence(t *testing.T) {
	mark := func(link string) uplinks.Tunable { return uplinks.Tunable{Link: link, Name: uplinks.SrcValidMark} }
	eth0, eth1, dotted := mark("eth0"), mark("eth1"), mark("eth0.7")
	for name, c := range map[string]struct {
		files map[string]string
		want  map[uplinks.Tunable]string
	}{
		"the last file": {map[string]string{"/usr/lib/sysctl.d/10.conf": "net.ipv4.conf.eth0.src_valid_mark=0", "/etc/sysctl.d/20.conf": "net.ipv4.conf.eth0.src_valid_mark = 1"},
			map[uplinks.Tunable]string{eth0: "/etc/sysctl.d/20.conf"}},
		"a file replaced by one of the same name": {map[string]string{"/usr/lib/sysctl.d/10.conf": "net.ipv4.conf.eth0.src_valid_mark=0", "/etc/sysctl.d/10.conf": "# nothing"},
			map[uplinks.Tunable]string{}},
		"a name before a later pattern": {map[string]string{"/etc/sysctl.d/10.conf": "net.ipv4.conf.eth0.src_valid_mark=0", "/etc/sysctl.d/20.conf": "net.ipv4.conf.*.src_valid_mark=1"},
			map[uplinks.Tunable]string{eth0: "/etc/sysctl.d/10.conf", eth1: "/etc/sysctl.d/20.conf", dotted: "/etc/sysctl.d/20.conf"}},
		"a name that patterns exclude": {map[string]string{"/etc/sysctl.d/10.conf": "net.ipv4.conf.eth*.src_valid_mark=1\n-net.ipv4.conf.eth0.src_valid_mark"},
			map[uplinks.Tunable]string{eth1: "/etc/sysctl.d/10.conf", dotted: "/etc/sysctl.d/10.conf"}},
		"default for every link": {map[string]string{"/etc/sysctl.conf": "net.ipv4.conf.default.src_valid_mark=1"},
			map[uplinks.Tunable]string{eth0: "/etc/sysctl.conf", eth1: "/etc/sysctl.conf", dotted: "/etc/sysctl.conf"}},
		"a link with a dot in its name": {map[string]string{"/etc/sysctl.conf": "net/ipv4/conf/eth0.7/src_valid_mark=1"},
			map[uplinks.Tunable]string{dotted: "/etc/sysctl.conf"}},
	} {
		if got := SysctlSources(newRoot(t, c.files), []uplinks.Tunable{eth0, eth1, dotted}); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestConfigFilesAreInReadingOrder(t *testing.T) {
	root := newRoot(t, map[string]string{
		"/usr/lib/systemd/networkd.conf": "", "/etc/systemd/networkd.conf": "",
		"/etc/systemd/networkd.conf.d/20.conf": "", "/usr/lib/systemd/networkd.conf.d/30.conf": "",
		"/usr/lib/systemd/networkd.conf.d/10.conf": "", "/run/systemd/networkd.conf.d/10.conf": "",
	})
	want := []string{"/etc/systemd/networkd.conf", "/run/systemd/networkd.conf.d/10.conf", "/etc/systemd/networkd.conf.d/20.conf", "/usr/lib/systemd/networkd.conf.d/30.conf"}
	if got := ConfigFiles(root, "networkd.conf"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEnabledByFindsTheLink(t *testing.T) {
	root := newRoot(t, map[string]string{"/etc/systemd/system/multi-user.target.wants/nftables.service": ""})
	if got := EnabledBy(root, "nftables.service"); got != "/etc/systemd/system/multi-user.target.wants/nftables.service" {
		t.Errorf("got %q", got)
	}
	if got := EnabledBy(root, "iptables.service"); got != "" {
		t.Errorf("a unit that is not enabled: %q", got)
	}
}
