package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"

	"github.com/google/go-cmp/cmp"
)

// foreign makes foreign objects on the gateway, next to each of ours.
const foreign = `
for ip in "ip -4" "ip -6"; do
	$ip rule add priority 2003 fwmark 0x200/0x1f00 lookup 77
	$ip rule add priority 2003 fwmark 0x200/0xff00 lookup 77 protocol 99
	$ip rule add priority 2500 fwmark 0x100/0x1f00 lookup 8201 protocol 83
	$ip rule add priority 3000 not iif lo goto 3999
	$ip rule add priority 5210 fwmark 0x80000/0xff0000 lookup main
	$ip rule add priority 1000 l3mdev
	$ip rule add priority 1500 ipproto tcp dport 22 uidrange 0-0 nop
	$ip rule add priority 90 goto 3999
done
ip rule add priority 2001 from 203.0.113.0/24 to 198.18.0.0/24 tos 0x10 blackhole
ip route add 203.0.113.128/25 via 198.51.100.1 dev eth0 metric 50
ip route add default via 192.0.2.1 dev eth1 table 77
ip route add default via 192.0.2.1 dev eth1 table 8201 metric 900
ip route add 203.0.113.64/26 via 198.51.100.1 dev eth0 table 8202
ip route add blackhole 198.18.99.0/24 table 8250
ip -6 route add default via fe80::1 dev eth1 table 8201 metric 900
ip -6 route add 2001:db8:99::/64 via fe80::1 dev eth0 table 8202
ip -6 route add unreachable 2001:db8:98::/64 table 77
nft add table inet filter
nft 'add chain inet filter input { type filter hook input priority 0; policy accept; }'
nft 'add set inet filter friends { type ipv4_addr; elements = { 203.0.113.7 } }'
nft add rule inet filter input ip saddr @friends counter accept
nft add table ip REPLYPATH-foo
sysctl -qw net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.lan0.src_valid_mark=1 net.ipv6.conf.eth0.mtu=1400
ip link set lan0 group 42
ip link add br9 type bridge
ip link set br9 group 8199
for t in %[1]s; do
	for table in raw mangle nat filter; do
		$t -t $table -N REPLYPATH 2>/dev/null
		$t -t $table -A REPLYPATH -m comment --comment "not -j REPLYPATH-PRE" -j RETURN
		$t -t $table -A OUTPUT -m mark --mark 0x200/0x1f00 -j REPLYPATH
		$t -t $table -N OTHER
	done
	for chain in PREROUTING INPUT FORWARD OUTPUT POSTROUTING; do
		$t -t mangle -A $chain -j MARK --set-xmark 0x40000/0x40000
	done
	$t -t mangle -A PREROUTING -j CONNMARK --set-xmark 0x10000/0x10000
	$t -t mangle -A PREROUTING -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu 2>/dev/null || :
done
`

// bothTools are the commands of one backend, and of both.
var bothTools = map[string]string{
	"nft":    "iptables-nft ip6tables-nft",
	"legacy": "iptables-legacy ip6tables-legacy",
	"both":   "iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy",
}

func TestForeignObjectsStayUnchanged(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for name, tools := range bothTools {
			t.Run("others in "+name, func(t *testing.T) {
				b := box.New(t, world.TwoISPs(t), backend)
				box.LegacyTable(b.Gateway)
				b.Gateway.Run("sh", "-ec", fmt.Sprintf(foreign, tools))
				before := box.TakeSnapshot(b.Gateway)
				b.Apply()
				wantForeignUnchanged(before, t, "apply", b.Gateway)
				b.Configure(b.Uplinks[1])
				b.Apply()
				wantForeignUnchanged(before, t, "apply with one uplink less", b.Gateway)
				b.Must(0, "flush")
				before.WantSame(t, "flush", b.Gateway)
			})
		}
	})
}

func TestFlushRestoresAnUntouchedHost(t *testing.T) {
	t.Parallel()
	for backend, n := range map[string]int{box.Backends[0]: 1, box.Backends[1]: 2, `backend = "auto"`: 31} {
		b := box.New(t, world.ISPs(t, n), backend)
		if strings.Contains(backend, "legacy") {
			box.LegacyTable(b.Gateway)
		}
		before := box.TakeSnapshot(b.Gateway)
		b.Apply()
		b.Must(0, "flush")
		before.WantSame(t, backend, b.Gateway)
		if left, _ := filepath.Glob(filepath.Join(b.Dir, "state", "found-*.json")); len(left) != 0 {
			t.Errorf("%s: flush leaves %v", backend, left)
		}
	}
}

// ownLines match our lines, and unresolved the kernel's flag of a goto without a target, which is no part of
// the rule.
var (
	ownLines   = regexp.MustCompile(`(?m) proto 82|:REPLYPATH-|-A REPLYPATH-|-j REPLYPATH-(PRE|OUT|POST)$`)
	builtin    = regexp.MustCompile(`^(\*.*|COMMIT|:\w+ ACCEPT)$`) // tables that were not there before
	unresolved = regexp.MustCompile(`\[unresolved\] ?`)
)

// wantForeignUnchanged wants foreign rules, routes and iptables rules unchanged while ours are there too. (Four sysctls and the
// links' groups are ours meanwhile, and nft lists our rules among the others.)
func wantForeignUnchanged(s box.Snapshot, t *testing.T, after string, h *world.Host) {
	t.Helper()
	now := box.TakeSnapshot(h)
	for section, before := range s {
		if strings.HasPrefix(section, "rules") || strings.HasPrefix(section, "routes") || strings.HasSuffix(section, "save") {
			if diff := cmp.Diff(foreignLines(before), foreignLines(now[section])); diff != "" {
				t.Errorf("%s: the %s of others are not as before (-before +now):\n%s", after, section, diff)
			}
		}
	}
}

func foreignLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !ownLines.MatchString(line) && !builtin.MatchString(line) {
			lines = append(lines, unresolved.ReplaceAllString(line, ""))
		}
	}
	return lines
}

func TestFlushKeepsLaterChangesByTheOperator(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Gateway.SetSysctl("net.ipv4.tcp_fwmark_accept", "1")
	b.Apply()
	b.Gateway.SetSysctl("net.ipv4.fwmark_reflect", "0")
	b.Gateway.Run("ip", "link", "set", "eth1", "group", "7")
	b.Must(0, "flush")
	for key, want := range map[string]string{
		"net.ipv4.tcp_fwmark_accept":        "1",
		"net.ipv4.fwmark_reflect":           "0",
		"net.ipv6.fwmark_reflect":           "0",
		"net.ipv4.conf.eth1.src_valid_mark": "0",
		"net.ipv4.conf.lan0.src_valid_mark": "0",
		"net.ipv4.conf.eth0.src_valid_mark": "0",
	} {
		if got := b.Gateway.Sysctl(key); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
	if links := b.Gateway.Run("ip", "-N", "link"); !strings.Contains(links, "group 7") || strings.Contains(links, "8200") {
		t.Errorf("groups after flush:\n%s", links)
	}
}

func TestFlushRemovesWhateverIsLeft(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		do    func(t *testing.T, b *box.Box)
		stays bool // a link in our group, whose original group is not saved
	}{
		{"twice", func(t *testing.T, b *box.Box) { b.Must(0, "flush") }, false},
		{"without configuration", func(t *testing.T, b *box.Box) { os.Remove(b.Config) }, false},
		{"with a broken configuration", func(t *testing.T, b *box.Box) { b.Write("uplinks = [") }, false},
		{"without its state", func(t *testing.T, b *box.Box) { os.RemoveAll(filepath.Join(b.Dir, "state")) }, true},
		{"with a link gone", func(t *testing.T, b *box.Box) { b.Uplinks[1].Link.Delete() }, false},
		{"with a link renamed", func(t *testing.T, b *box.Box) {
			b.Gateway.Run("sh", "-ec", "ip link set eth1 down; ip link set eth1 name wan1; ip link set wan1 up")
		}, false},
		{"with a link made anew", func(t *testing.T, b *box.Box) {
			b.Uplinks[1].Link.Delete()
			b.Gateway.Run("ip", "link", "add", "eth1", "group", "8200", "type", "bridge")
		}, true},
		{"with every link down", func(t *testing.T, b *box.Box) {
			b.Gateway.Run("sh", "-ec", "ip link set eth0 down; ip link set eth1 down")
		}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := box.New(t, world.TwoISPs(t))
			b.Apply()
			c.do(t, b)
			b.Must(0, "flush")
			now := box.TakeSnapshot(b.Gateway)
			for section, text := range now {
				if left := ownLines.FindString(text); left != "" {
					t.Errorf("%s still have %q:\n%s", section, left, text)
				}
			}
			if stays := strings.Contains(now["links"], "group 8200"); stays != c.stays {
				t.Errorf("a link of our group, %t, want %t:\n%s", stays, c.stays, now["links"])
			}
		})
	}
}
