package health

import (
	"net"
	"net/netip"
	"strconv"
)

// String is the target as it is written in the configuration.
func (t Target) String() string {
	switch t.Kind {
	case Gateway:
		return string(Gateway)
	case HTTP:
		return t.URL
	case TCP:
		return string(TCP) + "://" + net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
	}
	if addr, err := netip.ParseAddr(t.Host); err == nil && addr.Is6() {
		return string(t.Kind) + "://[" + t.Host + "]"
	}
	return string(t.Kind) + "://" + t.Host
}
