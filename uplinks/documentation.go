package uplinks

import "net/netip"

// documentation is kept for documentation and for benchmarks (RFC 5737, RFC 2544, RFC 3849): nobody on the Internet has
// an address of it.
var documentation = [...][]netip.Prefix{
	IPv4: prefixes("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.19.255.0/24", "198.19.254.0/24", "198.18.255.0/24", "198.18.254.0/24"),
	IPv6: prefixes("2001:db8:7265:706c::/64", "2001:db8:7970:6174::/64", "2001:db8:6800::/64"),
}

// Documentation are networks of which nobody on the Internet has an address. Questions may seem to come from there.
func Documentation(f Family) []netip.Prefix { return documentation[f] }

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}
