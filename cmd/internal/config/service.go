package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"replypath/health"
)

// resolveServices sets the services whose reply path is proven. known is false if the set of uplinks is not, as a file is not
// TOML. An empty list is not nil: no service is proven.
func (c *Config) resolveServices(written []stringValue, known bool) {
	if written != nil {
		c.Health.ProofServices = []health.ProofService{}
	}
	for _, t := range written {
		s, message, remedy := parseService(t.val)
		switch {
		case message != "":
			t.addMistake(remedy, "%s %q %s", t.key, t.val, message)
		case s.Uplink != "" && known && !c.hasUplink(s.Uplink):
			t.addMistake("use one of "+c.uplinkNames(), "%s %q names uplink %q, which is not configured", t.key, t.val, s.Uplink)
		case slices.Contains(c.Health.ProofServices, s):
			t.addMistake("remove one of them", "%s lists %q twice", t.key, t.val)
		default:
			c.Health.ProofServices = append(c.Health.ProofServices, s)
		}
	}
}

func (c *Config) hasUplink(uplink string) bool {
	return slices.ContainsFunc(c.Health.Uplinks, func(u health.UplinkSettings) bool { return u.Name == uplink })
}

// uplinkNames returns the names of the first configured uplinks.
func (c *Config) uplinkNames() string {
	const enough = 10
	var all []string
	for _, u := range c.Health.Uplinks {
		if len(all) == enough {
			all = append(all, "...")
			break
		}
		all = append(all, u.Name)
	}
	return strings.Join(all, ", ")
}

const serviceForms = `use tcp://ADDRESS:PORT or udp://ADDRESS:PORT with an uplink's address, its name, or nothing for all uplinks, such as tcp://:443; write an IPv6 address in [ ]`

// parseService parses a service, or returns what is wrong with it and a remedy.
func parseService(s string) (service health.ProofService, message, remedy string) {
	proto, rest, _ := strings.Cut(s, "://")
	if proto != "tcp" && proto != "udp" {
		return service, "is neither tcp:// nor udp://", serviceForms
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return service, "is not a host and a port", serviceForms
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return service, fmt.Sprintf("has no valid port: %q", port), "use a port from 1 to 65535"
	}
	service = health.ProofService{Proto: proto, Port: uint16(n)}
	addr, err := netip.ParseAddr(host)
	switch is := notGlobal(addr); {
	case err != nil && (host == "" || isName(host)) && !strings.HasPrefix(rest, "["):
		service.Uplink = host
	case err != nil || addr.Is4() && strings.HasPrefix(rest, "["):
		return service, fmt.Sprintf("has no valid host: %q is neither an IP address nor the name of an uplink", host), serviceForms
	case is != "":
		return service, "has " + is, "write the address of an uplink"
	default:
		service.Addr = addr
	}
	return service, "", ""
}
