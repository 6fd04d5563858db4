package resolve

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
)

// Where the host's name servers are written; and, where systemd-resolved has put itself in their place, the real ones
// that it asks.
const (
	resolvConf = "/etc/resolv.conf"
	stubConf   = "/run/systemd/resolve/resolv.conf"
)

// stubAddrs are systemd-resolved's own addresses: what it asks leaves without our mark, by main's default.
var stubAddrs = []string{"127.0.0.53", "127.0.0.54"}

// nameServers puts real name servers in the place of the stub, one after the other with each try.
type nameServers struct {
	upstream []string
	next     atomic.Uint32
}

// newNameServers reads the real name servers, when the configuration names the stub.
func newNameServers(configured, upstream string) *nameServers {
	for _, server := range readNameServers(configured) {
		for _, stub := range stubAddrs {
			if server == stub {
				return &nameServers{upstream: readNameServers(upstream)}
			}
		}
	}
	return &nameServers{}
}

// replaceStub is whom to ask in the place of this server, host:port. Another loopback address is a name server of the
// operator's own: nobody knows whom that one asks, and by which uplink.
func (s *nameServers) replaceStub(server string) string {
	host, port, err := net.SplitHostPort(server)
	if err != nil || len(s.upstream) == 0 || host != stubAddrs[0] && host != stubAddrs[1] {
		return server
	}
	n := s.next.Add(1) - 1
	return net.JoinHostPort(s.upstream[int(n)%len(s.upstream)], port)
}

// readNameServers reads the nameserver lines of a file like resolv.conf(5).
func readNameServers(file string) (all []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil // net.Resolver has its own way without it
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if _, err := netip.ParseAddr(words[1]); err == nil {
			all = append(all, words[1])
		}
	}
	return all
}
