package snapshot

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/marks/nlattr"
	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
)

// links are eth0 with index 1 and so on.
var links = Links{
	Name: func(index int) string {
		if index < 1 || index > 9 {
			return ""
		}
		return fmt.Sprint("eth", index-1)
	},
	Index: func(name string) (index int, err error) {
		if _, err = fmt.Sscanf(name, "eth%d", &index); err != nil || index < 0 || index > 8 {
			return 0, errors.New("no such link")
		}
		return index + 1, nil
	},
}

// rules and routes are lines that come back as they are.
var (
	ruleLines = []string{
		"ipv4 priority 0 lookup 255 protocol 2",
		"ipv4 priority 2000 not fwmark 0x0 fwmask 0x1f00 lookup 254 suppress_prefixlength 0 suppress_ifgroup 8200 protocol 82",
		"ipv4 priority 2001 fwmark 0x0 fwmask 0x1f00 goto 3000 protocol 82",
		"ipv6 priority 3001 from 2001:db8:a::2/128 goto 3400 protocol 82",
		"ipv4 priority 3999 nop protocol 82",
		"ipv4 priority 7 from 192.0.2.0/24 to 198.51.100.1/32 tos 0x10 iif lo oif \"a b\" uidrange 0-1000 ipproto 17 sport 53-53 sport_mask 0xffff dport 1000-2000 l3mdev 1 protocol 3",
		"ipv6 priority 8 unreachable dscp 0xa dscp_mask 0x3f tun_id 77 flowlabel 0x1 flowlabel_mask 0xfffff lookup 0 attr 99 0x010203",
		"ipv4 priority 9 flags 0x10000 action 77 realms 0x10002",
	}
	routeLines = []string{
		"ipv4 unicast default via 198.51.100.1 table 254 dev eth0 protocol 16",
		"ipv4 unicast 198.51.100.0/24 src 198.51.100.2 table 254 dev eth0 protocol 2 scope 253",
		"ipv4 local 198.51.100.2/32 table 255 dev eth0 protocol 2 scope 254",
		"ipv4 unreachable default metric 4294967295 table 8201 protocol 82",
		"ipv6 unicast default via fe80::1 metric 1024 metrics mtu=1400,cc_algo=cubic,77=1 pref 0 table 8201 dev eth1 protocol 82 flags 4",
		"ipv4 unicast default table 8456 protocol 82 nexthop dev eth0 weight 3 via 198.51.100.1 nexthop dev eth1 weight 1 flags 4 via_other fe80::1",
		"ipv6 unicast 2001:db8::/32 from 2001:db8:f::/48 nhid 7 table 70000 protocol 3",
		"ipv4 77 192.0.2.0/24 table 5 attr 21 0x0100 dev index:99 tos 16 protocol 4",
	}
)

func TestLinesOfRulesAndRoutesComeBack(t *testing.T) {
	for _, l := range ruleLines {
		f, text := split(l)
		m, err := RuleMessage(text, f)
		if err != nil {
			t.Errorf("%s: %v", l, err)
			continue
		}
		want := strings.Replace(text, " lookup 0", "", 1)
		if back, err := RuleText(m, f); err != nil || back != want {
			t.Errorf("%s\n%s, %v", want, back, err)
		}
	}
	for _, l := range routeLines {
		f, text := split(l)
		m, err := RouteMessage(strings.Replace(text, "index:99", "eth8", 1), f, links)
		if err != nil {
			t.Errorf("%s: %v", l, err)
			continue
		}
		known := links
		known.Name = func(index int) string { return strings.Replace(links.Name(index), "eth8", "", 1) }
		if back, err := RouteText(m, f, known); err != nil || back != strings.Replace(text, "index:99", "index:9", 1) {
			t.Errorf("%s\n%s, %v", text, back, err)
		}
	}
}

// split returns the family and the rest of a line.
func split(l string) (uplinks.Family, string) {
	f, text, _ := strings.Cut(l, " ")
	if f == "ipv6" {
		return uplinks.IPv6, text
	}
	return uplinks.IPv4, text
}

// Only what belongs to a route is written: neither its age nor the state of its next hops.
func TestStateOfARouteIsNotWritten(t *testing.T) {
	m, err := RouteMessage("unicast default via 192.0.2.1 dev eth0 table 254", uplinks.IPv4, links)
	if err != nil {
		t.Fatal(err)
	}
	native.PutUint32(m[offsetFlags:], 1|16) // dead, no carrier
	m = nlattr.Append(m, routeCacheInfo, make([]byte, 32))
	if text, err := RouteText(m, uplinks.IPv4, links); err != nil || text != "unicast default via 192.0.2.1 table 254 dev eth0" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWrongLinesAreRefused(t *testing.T) {
	for l, want := range map[string]string{
		"ipv4 priority x":                   "a number of 32 bits",
		"ipv4 priority":                     "the value of priority is missing",
		"ipv4 from 2001:db8::1":             "a network of IPv4",
		"ipv4 from ::ffff:192.0.2.1":        "a network of IPv4",
		"ipv4 lookup 1 sport 70000":         "sport 70000",
		"ipv4 nonsense 1":                   `"nonsense" is not known here`,
		"ipv4 attr 5 0xz":                   "in hexadecimal",
		"ipv4 tos 0x100":                    "a number of 8 bits",
		"ipv4 iif \"a":                      "has no end",
		"ipv4 priority 99999999999 goto 10": "a number of 32 bits",
	} {
		f, text := split(l)
		if _, err := RuleMessage(text, f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", l, err, want)
		}
	}
	for l, want := range map[string]string{
		"ipv4":                                             "the value of route is missing",
		"ipv4 unicast":                                     "the value of route is missing",
		"ipv4 nothing default":                             "a number of 8 bits",
		"ipv4 unicast default dev wlan0":                   "no such link",
		"ipv4 unicast default dev index:3":                 "the link was gone",
		"ipv4 unicast default via x":                       "via x",
		"ipv4 unicast default metrics a=1":                 "metric a",
		"ipv4 unicast 0.0.0.0/33":                          "a network of IPv4",
		"ipv4 unicast default nexthop wei 1":               `"wei" is not known here`,
		"ipv4 unicast default nexthop weight 257 dev eth0": "from 1 to 256",
	} {
		f, text := split(l)
		if _, err := RouteMessage(text, f, links); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", l, err, want)
		}
	}
}

func TestDocumentComesBack(t *testing.T) {
	d := Document{"group eth0 8200 was 0", "sysctl net.ipv4.ip_forward 1", "rule " + ruleLines[0], "mangle ipv4 nft -A X -m comment --comment \"it\\'s \\\"\" -j DROP"}
	text := d.Text("written now", "by nobody")
	back, err := Parse(text + "\n  # more\n\n")
	if err != nil || !slices.Equal(back, d) {
		t.Errorf("%v: %s", err, cmp.Diff(d, back))
	}
	for bad, want := range map[string]string{"": "the first line", "x\n": "the first line", First + "\nrule": "line 2", First + "\nroute ipv4 \"x": "odd quotation", First + "\n#\nwhat ipv4 x": "line 3"} {
		if _, err := Parse(bad); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCompareNamesEachChange(t *testing.T) {
	before := Document{"group eth0 0", "rule ipv4 priority 1 lookup 1", "rule ipv4 priority 1 lookup 2", "rule ipv6 priority 1 lookup 1",
		"mangle ipv4 nft -A X a", "mangle ipv4 nft -A X b", "mangle ipv4 nft -A Y a", "route ipv4 a", "route ipv4 a", "route ipv4 b"}
	after := Document{"group eth0 8200", "rule ipv4 priority 1 lookup 2", "rule ipv4 priority 1 lookup 1", "rule ipv6 priority 1 lookup 1",
		"mangle ipv4 nft -A X b", "mangle ipv4 nft -A X c", "mangle ipv4 nft -A X a", "mangle ipv4 nft -A Y a", "route ipv4 b", "route ipv4 a"}
	var got []string
	for _, c := range Compare(before, after) {
		got = append(got, c.String())
	}
	want := []string{"- group eth0 0", "+ group eth0 8200", "~ order of rule ipv4", "- route ipv4 a", "+ mangle ipv4 nft -A X c", "~ order of mangle ipv4 nft -A X"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if same := Compare(before, before); same != nil {
		t.Errorf("the same documents: %v", same)
	}
}

// What a line gives is the same line again, and so is what a message gives.
func FuzzLines(f *testing.F) {
	for _, l := range append(slices.Clone(ruleLines), routeLines...) {
		family, text := split(l)
		f.Add(text, family == uplinks.IPv6, []byte{})
		if m, err := RuleMessage(text, family); err == nil {
			f.Add("", family == uplinks.IPv6, m)
		}
	}
	f.Fuzz(func(t *testing.T, text string, v6 bool, m []byte) {
		family := uplinks.IPv4
		if v6 {
			family = uplinks.IPv6
		}
		rule := func(m []byte) (string, error) { return RuleText(m, family) }
		route := func(m []byte) (string, error) { return RouteText(m, family, links) }
		toRule := func(text string) ([]byte, error) { return RuleMessage(text, family) }
		toRoute := func(text string) ([]byte, error) { return RouteMessage(text, family, links) }
		if fromText, err := toRule(text); err == nil {
			wantStable(t, fromText, rule, toRule)
		}
		if fromText, err := toRoute(text); err == nil {
			wantStable(t, fromText, route, toRoute)
		}
		wantStable(t, m, rule, toRule)
		wantStable(t, m, route, toRoute)
	})
}

// wantStable wants the line of a message to give the same line again.
func wantStable(t *testing.T, m []byte, write func([]byte) (string, error), read func(string) ([]byte, error)) {
	text, err := write(m)
	if err != nil || strings.Contains(text, "index:") {
		return
	}
	again, err := read(text)
	if err != nil {
		t.Fatalf("%s of %s: %v", text, hex.EncodeToString(m), err)
	}
	if back, err := write(again); err != nil || back != text {
		t.Fatalf("%s\n%s, %v", text, back, err)
	}
}
