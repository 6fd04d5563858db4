package proof

import (
	"net/netip"

	"replypath/uplinks"
)

// PeerBlocks are those from which questions may seem to come: no address, network or route of the host's is in one. Where
// routes for large parts of the Internet leave none, as some VPNs add them, those are not counted.
func PeerBlocks(f uplinks.Facts, family uplinks.Family) []netip.Prefix {
	const maxHalfInternetBits = 8 // bits of such a route's prefix, at most
	for _, minBits := range []int{uplinks.MaxDefaultPrefixLen(family) + 1, maxHalfInternetBits + 1} {
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

// inUse reports whether the host has anything to do with the block. Networks with a shorter prefix are not counted.
func inUse(f uplinks.Facts, block netip.Prefix, minBits int) bool {
	overlaps := func(p netip.Prefix) bool { return p.Bits() >= minBits && p.Overlaps(block) }
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
	for _, r := range f.GatewayRoutes {
		if overlaps(r.Dst) {
			return true
		}
	}
	return false
}

// PeerAddr is the i-th address of a block, counted from its end. Each uplink is asked by another one, as firewalls count
// how often somebody knocks.
func PeerAddr(block netip.Prefix, i int) netip.Addr {
	const usable = 250
	last := byte(254 - i%usable)
	if block.Addr().Is4() {
		b := block.Addr().As4()
		b[3] = last
		return netip.AddrFrom4(b)
	}
	b := block.Addr().As16()
	b[15] = last
	return netip.AddrFrom16(b)
}
