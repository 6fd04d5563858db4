package main

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Ports of the gateway's services: its own, and the one that it forwards to the LAN host.
const (
	hostPort = 7000
	lanPort  = 7001
)

// family is 4 or 6.
type family int

var families = []family{4, 6}

func (f family) String() string { return "IPv" + f.digit() }

func (f family) digit() string { return strconv.Itoa(int(f)) }

// of returns the address of that family.
func (f family) of(four, six string) netip.Addr {
	if f == 4 {
		return netip.MustParseAddr(four)
	}
	return netip.MustParseAddr(six)
}

// own and router are the gateway's address on the uplink with that index and its ISP's.
func (f family) own(index int) netip.Addr    { return f.onUplink(index, 2) }
func (f family) router(index int) netip.Addr { return f.onUplink(index, 1) }

func (f family) onUplink(index, host int) netip.Addr {
	return f.of(fmt.Sprintf("198.19.%d.%d", index, host), fmt.Sprintf("2001:db8:%x::%d", 0x100+index, host))
}

// inner returns the gateway's address on the LAN, lan the LAN host's.
func (f family) inner() netip.Addr { return f.of("198.18.0.1", "2001:db8:f::1") }
func (f family) lan() netip.Addr   { return f.of("198.18.0.2", "2001:db8:f::2") }

// client returns where requests come from, elsewhere another host of the Internet.
func (f family) client() netip.Addr    { return f.of("203.0.113.10", "2001:db8:c::10") }
func (f family) elsewhere() netip.Addr { return f.of("192.0.2.10", "2001:db8:d::10") }

// unknownSource returns the address that vary makes many of.
func (f family) unknownSource() netip.Addr { return f.of("203.0.113.0", "2001:db8:c::ffff:0") }

// unknownLAN returns the same of hosts on the LAN.
func (f family) unknownLAN() netip.Addr { return f.of("198.18.1.0", "2001:db8:f:1::ffff:0") }

// net returns the LAN.
func (f family) net() netip.Prefix {
	if f == 4 {
		return netip.MustParsePrefix("198.18.0.0/24")
	}
	return netip.MustParsePrefix("2001:db8:f::/64")
}

// nft returns the family's word in nft(8).
func (f family) nft() string {
	if f == 4 {
		return "ip"
	}
	return "ip6"
}
