package proof

import (
	"encoding/binary"
	"net/netip"

	"replypath/uplinks"
)

// PeerBlocks returns the prefixes (uplinks.DocumentationPrefixes) that requests may seem to come from: no address, network or
// route of the host overlaps them. If that leaves none, routes for large parts of the Internet, as some VPNs add them, do not
// count.
func PeerBlocks(f uplinks.Facts, family uplinks.Family) []netip.Prefix {
	const largePrefixLen = 8 // of the longest prefix that is a large part of the Internet
	for _, minBits := range []int{uplinks.MaxDefaultPrefixLen(family) + 1, largePrefixLen + 1} {
		var free []netip.Prefix
		for _, b := range uplinks.DocumentationPrefixes(family) {
			if !inUse(f, b, minBits) {
				free = append(free, b)
			}
		}
		if len(free) > 0 {
			return free
		}
	}
	return nil
}

// inUse reports whether an address, network or route of the host overlaps the block. Prefixes shorter than minBits do not count.
func inUse(f uplinks.Facts, block netip.Prefix, minBits int) bool {
	overlaps := func(p netip.Prefix) bool { return p.Bits() >= minBits && p.Overlaps(block) }
	for _, l := range f.Links {
		for _, a := range l.Addrs {
			if overlaps(a.Prefix) {
				return true
			}
		}
		for _, c := range l.Connected {
			if overlaps(c.Dst) {
				return true
			}
		}
	}
	for _, r := range f.GatewayRoutes {
		if overlaps(r.Dst) {
			return true
		}
	}
	return false
}

// PeerAddr returns an address of the block, by a number that should be random: a stranger cannot guess which requests are a
// proof's. Each path has its own peer, as firewalls limit the connections of one address. IPv4 addresses are of the upper half,
// as test networks count their hosts from below.
func PeerAddr(block netip.Prefix, number uint64) netip.Addr {
	const lowest, usable = 128, 127
	if block.Addr().Is4() {
		b := block.Addr().As4()
		b[3] = byte(lowest + number%usable)
		return netip.AddrFrom4(b)
	}
	b := block.Addr().As16()
	binary.BigEndian.PutUint64(b[8:], number|1<<63) // not that of a router
	return netip.AddrFrom16(b)
}
