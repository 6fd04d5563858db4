package resolve

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
)

// The files that list the host's name servers, and the servers behind systemd-resolved's stub (systemd-resolved(8)).
const (
	resolvConf = "/etc/resolv.conf"
	stubConf   = "/run/systemd/resolve/resolv.conf"
)

// stubAddrs are the addresses of systemd-resolved's stub, whose own queries carry no mark and follow main's default route.
var stubAddrs = []string{"127.0.0.53", "127.0.0.54"}

// nameServers replaces the stub by its upstream servers, in turn.
type nameServers struct {
	upstream []string
	next     atomic.Uint32
}

// newNameServers reads the upstream servers when the configured file names the stub.
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

// replaceStub returns the server (host:port) to query instead of the stub, and any other server unchanged. The upstream servers
// of a local resolver on another loopback address, and the uplink that it uses, are not known.
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
		return nil // net.Resolver falls back to localhost
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
