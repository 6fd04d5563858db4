package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"replypath/health"
	"replypath/uplinks"
)

// byValue makes go-cmp compare addresses, and treat empty and nil slices as equal.
var byValue = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}), cmpopts.EquateEmpty()}

// readConfig reads the configuration at the path, as the program does.
func readConfig(path string) (Config, error) {
	files, err := ReadFiles(path)
	if err != nil {
		return Config{}, err
	}
	return files.Resolve()
}

// writeFiles writes the files to a new directory and returns the path of the main file, which need not be among them.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "replypath.toml")
}

const lte = "id = 2\ninterface = \"wwan0\"\ngateway = \"auto\"\n"

func lteUplink() uplinks.Uplink {
	return uplinks.Uplink{
		Name: "lte", ID: 2, Link: "wwan0", WhenDown: uplinks.Hold,
		Gateway4: uplinks.Gateway{Auto: true}, Gateway6: uplinks.Gateway{Auto: true},
	}
}

var readTests = []struct {
	name  string
	files map[string]string
	want  func(*Config)
}{
	{
		"everything differs from the defaults",
		map[string]string{"replypath.toml": `
mask = 0xff00
priority = 30766
table_base = 256
link_group = 2147483647
backend = "legacy"
inside = ["lan1", "lan0"]
uplinks.lte = { id = 255, gateway = "198.51.100.1", when_down = "release" }
`},
		func(c *Config) {
			c.Mask, c.Priority, c.TableBase, c.Group, c.Backend = 0xff00, 30766, 256, 1<<31-1, "legacy"
			c.Inside = []string{"lan1", "lan0"}
			c.Uplinks = []uplinks.Uplink{{
				Name: "lte", ID: 255, Link: "lte", WhenDown: uplinks.Release,
				Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("198.51.100.1")},
			}}
		},
	},
	{
		"uplinks of both places are sorted by id",
		map[string]string{
			"replypath.toml":     "[uplinks.zeta]\nid = 3\ngateway = 'auto'\n[uplinks.alpha]\nid = 9\ngateway = 'auto'\n",
			"uplinks.d/lte.toml": lte,
		},
		func(c *Config) {
			auto := uplinks.Gateway{Auto: true}
			c.Uplinks = []uplinks.Uplink{
				lteUplink(),
				{Name: "zeta", ID: 3, Link: "zeta", WhenDown: uplinks.Hold, Gateway4: auto, Gateway6: auto},
				{Name: "alpha", ID: 9, Link: "alpha", WhenDown: uplinks.Hold, Gateway4: auto, Gateway6: auto},
			}
		},
	},
	{
		"no main file is needed, and backups of editors are ignored",
		map[string]string{
			"uplinks.d/lte.toml": lte, "uplinks.d/lte.toml~": "x", "uplinks.d/.#lte.toml": "x", "uplinks.d/README": "x",
			"uplinks.d/lte.toml.dpkg-old": "x", "uplinks.d/.toml": "x",
		},
		func(c *Config) { c.Uplinks = []uplinks.Uplink{lteUplink()} },
	},
	{
		"a byte order mark and CR LF are accepted",
		map[string]string{"uplinks.d/lte.toml": "\ufeff" + strings.ReplaceAll(lte, "\n", "\r\n")},
		func(c *Config) { c.Uplinks = []uplinks.Uplink{lteUplink()} },
	},
	{
		"auto applies to the family without an address",
		map[string]string{"uplinks.d/lte.toml": `
id = 2
interface = "wwan0"
gateway = ["auto", "fe80::1%wwan0"]
`},
		func(c *Config) {
			up := lteUplink()
			up.Gateway6 = uplinks.Gateway{Addr: netip.MustParseAddr("fe80::1")}
			c.Uplinks = []uplinks.Uplink{up}
		},
	},
	{
		"auto-ipv4 leaves IPv6 alone",
		map[string]string{"uplinks.d/lte.toml": "id = 2\ninterface = \"wwan0\"\ngateway = \"auto-ipv4\"\n"},
		func(c *Config) {
			up := lteUplink()
			up.Gateway6 = uplinks.Gateway{}
			c.Uplinks = []uplinks.Uplink{up}
		},
	},
	{
		"auto-ipv6 beside an address",
		map[string]string{"uplinks.d/lte.toml": "id = 2\ninterface = \"wwan0\"\ngateway = [\"auto-ipv6\", \"192.0.2.1\"]\n"},
		func(c *Config) {
			up := lteUplink()
			up.Gateway4 = uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.1")}
			c.Uplinks = []uplinks.Uplink{up}
		},
	},
}

func TestRead(t *testing.T) {
	for _, test := range readTests {
		t.Run(test.name, func(t *testing.T) {
			want := defaults()
			test.want(&want)
			for _, u := range want.Uplinks {
				want.Health.Uplinks = append(want.Health.Uplinks, health.UplinkSettings{Name: u.Name, Quorum: 1})
			}
			got, err := readConfig(writeFiles(t, test.files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, byValue); diff != "" {
				t.Errorf("Read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadFollowsSymlinks(t *testing.T) {
	path := writeFiles(t, map[string]string{"uplinks.d/.keep": "", "store/1": lte})
	symlink(t, "../store/1", filepath.Join(filepath.Dir(path), "uplinks.d", "lte.toml"))
	c, err := readConfig(path)
	if err != nil || len(c.Uplinks) != 1 {
		t.Errorf("Read: %v, %v, want one uplink", c, err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
