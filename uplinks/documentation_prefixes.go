package uplinks

import "net/netip"

// Networks for documentation and benchmarks (RFC 5737, RFC 2544, RFC 3849): no host on the Internet has an address in
// them.
var documentationPrefixes = [...][]netip.Prefix{
	IPv4: mustParsePrefixes("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.19.255.0/24", "198.19.254.0/24", "198.18.255.0/24", "198.18.254.0/24"),
	IPv6: mustParsePrefixes("2001:db8:7265:706c::/64", "2001:db8:7970:6174::/64", "2001:db8:6800::/64"),
}

// DocumentationPrefixes returns networks without a host on the Internet, as source of injected requests.
func DocumentationPrefixes(f Family) []netip.Prefix { return documentationPrefixes[f] }

func mustParsePrefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}
