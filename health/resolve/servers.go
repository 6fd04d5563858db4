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

// stubs are systemd-resolved's own addresses: what it asks leaves without our mark, by main's default.
var stubs = []string{"127.0.0.53", "127.0.0.54"}

// servers puts real name servers in the place of the stub, one after the other with each try.
type servers struct {
	real []string
	next atomic.Uint32
}

// serversOf reads the real name servers, when the configuration names the stub.
func serversOf(configured, real string) *servers {
	for _, server := range nameservers(configured) {
		for _, stub := range stubs {
			if server == stub {
				return &servers{real: nameservers(real)}
			}
		}
	}
	return &servers{}
}

// instead is whom to ask in the place of this server, host:port. Another loopback address is a name server of the
// operator's own: nobody knows whom that one asks, and by which uplink.
func (s *servers) instead(server string) string {
	host, port, err := net.SplitHostPort(server)
	if err != nil || len(s.real) == 0 || host != stubs[0] && host != stubs[1] {
		return server
	}
	n := s.next.Add(1) - 1
	return net.JoinHostPort(s.real[int(n)%len(s.real)], port)
}

// nameservers reads the nameserver lines of a file like resolv.conf(5).
func nameservers(file string) (all []string) {
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
