package proof

import (
	"net/netip"

	"replypath/uplinks"
)

// Blocks are those from which questions may seem to come: no address, network or route of the host's is in one. Where
// routes for large parts of the Internet leave none, as some VPNs add them, those are not counted.
func Blocks(f uplinks.Facts, family uplinks.Family) []netip.Prefix {
	const part = 8 // bits of such a route's prefix, at most
	for _, least := range []int{uplinks.Everybody(family) + 1, part + 1} {
		var free []netip.Prefix
		for _, b := range uplinks.Documentation(family) {
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
