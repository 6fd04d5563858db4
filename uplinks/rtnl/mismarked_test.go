package rtnl

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/uplinks"
)

func TestConnectionsWithAnotherUplinksMarkAreGrouped(t *testing.T) {
	address := func(prefix string) uplinks.Link {
		return uplinks.Link{Addrs: []uplinks.Addr{{Prefix: netip.MustParsePrefix(prefix)}, {Prefix: netip.MustParsePrefix("203.0.113.9/32")}}}
	}
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{{Name: "isp0", ID: 1, Link: "eth0"}, {Name: "isp1", ID: 2, Link: "eth1", VIPs: []netip.Addr{netip.MustParseAddr("2001:db8:b::2")}}}
	f := uplinks.Facts{IPv6: true, Links: map[string]uplinks.Link{"eth0": address("198.51.100.2/24"), "eth1": address("192.0.2.2/24")}}
	connection := func(to string, mark uint32) Connection {
		return Connection{Original: Flow{Proto: 6, From: netip.MustParseAddrPort("203.0.113.10:5000"), To: netip.MustParseAddrPort(to)}, Mark: mark}
	}
	got := groupMismarked([]Connection{
		connection("192.0.2.2:80", 0x200), connection("192.0.2.2:80", 0x80000200), connection("198.51.100.2:80", 0x100), // right
		connection("192.0.2.2:80", 0), connection("192.0.2.2:80", 0x300), connection("192.0.2.2:80", 0x20), // of no uplink
		connection("203.0.113.9:80", 0x100), connection("192.0.2.9:80", 0x100), // not of one uplink
		connection("192.0.2.2:80", 0x100), connection("192.0.2.2:81", 0x80000100), connection("[2001:db8:b::2]:80", 0x100),
	}, s, f)
	var lines []string
	for _, m := range got {
		lines = append(lines, m.String())
	}
	want := []string{
		"2 connections to 192.0.2.2, an address of uplink isp1, with the mark of uplink isp0, such as protocol 6 from 203.0.113.10:5000 to 192.0.2.2:80",
		"1 connection to 2001:db8:b::2, an address of uplink isp1, with the mark of uplink isp0, such as protocol 6 from 203.0.113.10:5000 to [2001:db8:b::2]:80",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}
