package uplinks

import (
	"fmt"
	"net/netip"
	"strings"
)

// Family is an address family.
type Family uint8

// The address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Families lists both families in the order of plans.
var Families = [...]Family{IPv4, IPv6}

// String returns "IPv4" or "IPv6".
func (f Family) String() string {
	if f == IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

// MarshalText returns "ipv4" or "ipv6", for JSON.
func (f Family) MarshalText() ([]byte, error) { return []byte(strings.ToLower(f.String())), nil }

// UnmarshalText parses "ipv4" or "ipv6".
func (f *Family) UnmarshalText(text []byte) error {
	for _, known := range Families {
		if t, _ := known.MarshalText(); string(t) == string(text) {
			*f = known
			return nil
		}
	}
	return fmt.Errorf("%q is not an address family: use ipv4 or ipv6", text)
}

// DefaultPrefix returns the destination of a default route.
func (f Family) DefaultPrefix() netip.Prefix {
	if f == IPv6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// IPCommand returns "ip" or "ip -6", the start of an ip(8) command.
func (f Family) IPCommand() string {
	if f == IPv6 {
		return "ip -6"
	}
	return "ip"
}
