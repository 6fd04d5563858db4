package rtnl

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

func TestConnectionsWithAForeignSourceAreGrouped(t *testing.T) {
	link := func(prefix string) uplinks.Link {
		return uplinks.Link{Addrs: []uplinks.Addr{{Prefix: netip.MustParsePrefix(prefix)}}}
	}
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{{Name: "isp0", ID: 1, Link: "eth0"}, {Name: "isp1", ID: 2, Link: "eth1"}}
	f := uplinks.Facts{Links: map[string]uplinks.Link{"eth0": link("198.51.100.2/24"), "eth1": link("192.0.2.2/24")}}
	connection := func(from, repliesTo string, mark uint32) Connection {
		return Connection{Original: Flow{From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort("203.0.113.10:80"), Proto: 6},
			Reply: Flow{From: netip.MustParseAddrPort("203.0.113.10:80"), To: netip.MustParseAddrPort(repliesTo)}, Mark: mark}
	}
	group := func(s uplinks.Settings) (lines []string) {
		g := newForeignSourceGroups(s, f)
		for _, c := range []Connection{
			connection("198.18.0.2:5", "198.51.100.2:5", 0x2100), connection("192.0.2.2:5", "192.0.2.2:5", 0x2200), // right
			connection("198.18.0.2:6", "198.18.0.2:6", 0x100), connection("198.18.0.2:7", "198.18.0.2:7", 0), // did not begin inside
			connection("198.18.0.2:8", "198.18.0.2:8", 0x2900), // of no uplink
			connection("198.18.0.2:9", "192.0.2.2:9", 0x2100), connection("198.18.0.3:9", "192.0.2.2:10", 0x2100),
			connection("198.18.0.2:10", "198.18.0.2:10", 0x80002200),
		} {
			g.add(c)
		}
		for _, o := range g.sorted() {
			lines = append(lines, o.String())
		}
		return lines
	}
	if lines := group(s); lines != nil {
		t.Errorf("without [outbound]: %q", lines)
	}
	s.Outbound.Default = uplinks.UseMain
	want := []string{
		"2 connections leave by isp0 with the source 192.0.2.2, to which a rule translates it, such as protocol 6 from 198.18.0.2:9 to 203.0.113.10:80",
		"1 connection leaves by isp1 with the source 198.18.0.2, as no rule translates it, such as protocol 6 from 198.18.0.2:10 to 203.0.113.10:80",
	}
	if lines := group(s); !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if marks.Mask(0x2000) != s.OutboundFlag() {
		t.Errorf("the flag is %s", s.OutboundFlag())
	}
}
