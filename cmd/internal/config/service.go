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

// resolveServices takes over the services whose reply path is shown. Which uplinks there are is not known when a file is not TOML.
func (c *Config) resolveServices(written []stringValue, known bool) {
	for _, t := range written {
		s, message, remedy := parseService(t.val)
		switch {
		case message != "":
			t.addMistake(remedy, "%s %q %s", t.key, t.val, message)
		case s.Uplink != "" && known && !c.hasUplink(s.Uplink):
			t.addMistake("write the name of one that is: "+c.uplinkNames(), "%s %q is at uplink %q, which is not configured", t.key, t.val, s.Uplink)
		case slices.Contains(c.Health.ProofServices, s):
			t.addMistake("leave one of them out", "%s names %q twice", t.key, t.val)
		default:
			c.Health.ProofServices = append(c.Health.ProofServices, s)
		}
	}
}

func (c *Config) hasUplink(uplink string) bool {
	return slices.ContainsFunc(c.Health.Uplinks, func(u health.UplinkSettings) bool { return u.Name == uplink })
}

// uplinkNames are the first of the uplinks that there are.
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

const serviceForms = `use tcp://ADDRESS:PORT or udp://ADDRESS:PORT with an uplink's address, its name, or nothing for all uplinks, such as tcp://:443; an IPv6 address stands in [ ]`

// parseService reads a service, or says what is wrong with it.
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
		return service, "is at " + is, "write the address of an uplink"
	default:
		service.Addr = addr
	}
	return service, "", ""
}
