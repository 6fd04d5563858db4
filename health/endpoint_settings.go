package health

import "net/netip"

// EndpointSettings is where and how the world is told.
type EndpointSettings struct {
	Listen    netip.AddrPort // the zero AddrPort: nowhere
	TokenFile string         // the absolute path of the file that holds the bearer token; empty: none is asked for
	CertFile  string         // the absolute path of the TLS certificate; empty: without TLS
	KeyFile   string         // the absolute path of its key; empty exactly when CertFile is
}

// DefaultEndpointSettings is reached from the host itself only.
var DefaultEndpointSettings = EndpointSettings{Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9717)}
