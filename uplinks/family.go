package uplinks

import (
	"fmt"
	"net/netip"
	"strings"
)

// Family is an address family.
type Family uint8

// The families, both of them always.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Families are all families, in the order in which they are planned and applied.
var Families = [...]Family{IPv4, IPv6}

// String is "IPv4" or "IPv6".
func (f Family) String() string {
	if f == IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

// MarshalText gives "ipv4" or "ipv6", as programs read it.
func (f Family) MarshalText() ([]byte, error) { return []byte(strings.ToLower(f.String())), nil }

// UnmarshalText reads what MarshalText gives.
func (f *Family) UnmarshalText(text []byte) error {
	for _, known := range Families {
		if t, _ := known.MarshalText(); string(t) == string(text) {
			*f = known
			return nil
		}
	}
	return fmt.Errorf("%q is no address family: it is ipv4 or ipv6", text)
}

// DefaultPrefix is the prefix of a default route.
func (f Family) DefaultPrefix() netip.Prefix {
	if f == IPv6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// FamilyOf is the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// IPCommand is how a command line for ip(8) begins.
func (f Family) IPCommand() string {
	if f == IPv6 {
		return "ip -6"
	}
	return "ip"
}
