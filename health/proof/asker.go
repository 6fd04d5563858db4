package proof

import (
	"net/netip"

	"replypath/uplinks"
)

// blocks are kept for documentation and for benchmarks (RFC 5737, RFC 2544, RFC 3849): nobody on the Internet has an
// address of them.
var blocks = map[uplinks.Family][]netip.Prefix{
	uplinks.IPv4: prefixes("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.19.255.0/24", "198.19.254.0/24", "198.18.255.0/24", "198.18.254.0/24"),
	uplinks.IPv6: prefixes("2001:db8:7265:706c::/64", "2001:db8:7970:6174::/64", "2001:db8:6800::/64"),
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

// Blocks are those from which questions may seem to come: no address, network or route of the host's is in one. Where
// routes for half of the Internet leave none, as some VPNs add them, those are not counted.
func Blocks(f uplinks.Facts, family uplinks.Family) []netip.Prefix {
	const half = 2 // bits of such a route's prefix, at most
	for _, least := range []int{1, half + 1} {
		var free []netip.Prefix
		for _, b := range blocks[family] {
			if !known(f, b, least) {
				free = append(free, b)
			}
		}
		if len(free) > 0 {
			return free
		}
	}
	return nil
}

// known reports whether the host has anything to do with the block. Networks with a shorter prefix are not counted.
func known(f uplinks.Facts, block netip.Prefix, least int) bool {
	overlaps := func(p netip.Prefix) bool { return p.Bits() >= least && p.Overlaps(block) }
	for _, l := range f.Links {
		for _, a := range l.Addrs {
			if overlaps(a.Prefix) {
				return true
			}
		}
		for _, p := range l.Connected {
			if overlaps(p) {
				return true
			}
		}
	}
	for _, r := range f.Routed {
		if overlaps(r.Dst) {
			return true
		}
	}
	return false
}

// Asker is the i-th address of a block, counted from its end. Each uplink is asked by another one, as firewalls count
// how often somebody knocks.
func Asker(block netip.Prefix, i int) netip.Addr {
	const room = 250
	last := byte(254 - i%room)
	if block.Addr().Is4() {
		b := block.Addr().As4()
		b[3] = last
		return netip.AddrFrom4(b)
	}
	b := block.Addr().As16()
	b[15] = last
	return netip.AddrFrom16(b)
}
