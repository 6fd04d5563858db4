package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Gateway is the target of a probe that asks the uplink's own gateway.
const Gateway = "gateway"

// believe checks one probe.
func (p fileProbe) believe(uplink string) Probe {
	b := Probe{Uplink: uplink, Name: p.name}
	if p.target == nil {
		return b
	}
	target, message, remedy := parseTarget(p.target.is)
	if message != "" {
		p.target.wrong(remedy, "target %q %s", p.target.is, message)
	}
	b.Target = target
	return b
}

const targetForms = `use icmp://HOST, tcp://HOST:PORT, http://HOST/..., https://HOST/... or "gateway"`

// parseTarget normalises a target, or says what is wrong with it.
func parseTarget(s string) (target, message, remedy string) {
	if s == Gateway {
		return s, "", ""
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return "", "holds a character that no URL can hold", "percent-encode it, or write the host name in its xn-- form"
		}
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", "is not a URL", targetForms + "; an IPv6 address stands in [ ]"
	}
	if message, remedy = wrongParts(u); message != "" {
		return "", message, remedy
	}
	host, message, remedy := parseHost(u.Hostname())
	if message != "" {
		return "", message, remedy
	}
	port, message, remedy := parsePort(u)
	if message != "" {
		return "", message, remedy
	}
	u.Host = host + port
	if u.Path == "" && strings.HasPrefix(u.Scheme, "http") {
		u.Path = "/"
	}
	return u.String(), "", ""
}

// wrongParts says which part of the URL has no meaning in a probe.
func wrongParts(u *url.URL) (message, remedy string) {
	web := u.Scheme == "http" || u.Scheme == "https"
	switch {
	case !web && u.Scheme != "icmp" && u.Scheme != "tcp":
		return "has no scheme that a probe knows", targetForms
	case u.Opaque != "" || u.Host == "":
		return "has no host", targetForms
	case u.User != nil:
		return "holds a user name", "leave out what stands before the @"
	case u.Fragment != "" || strings.HasSuffix(u.String(), "#"):
		return "has a fragment", "leave out the # and what follows it"
	case !web && (u.Path != "" || u.RawQuery != "" || u.ForceQuery):
		return "has a path", "leave out what follows the host" + map[string]string{"tcp": " and port"}[u.Scheme]
	}
	return "", ""
}

// A host name's last label is not all digits: what looks like an IPv4 address and is none must not be looked up.
var hostForm = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
var digitsAtEnd = regexp.MustCompile(`(^|\.)[0-9]+$`)

// parseHost normalises an address or a host name.
func parseHost(s string) (host, message, remedy string) {
	if addr, err := netip.ParseAddr(s); err == nil {
		switch is := unfit(addr.WithZone("")); {
		case addr.Zone() != "":
			return "", "has a zone", "leave out the % and what follows it: a probe leaves by its own uplink"
		case is != "":
			return "", "asks " + is, "ask a host beyond the uplink"
		case addr.Is6():
			return "[" + addr.String() + "]", "", ""
		}
		return addr.String(), "", ""
	}
	name := strings.ToLower(s)
	bare := strings.TrimSuffix(name, ".")
	if len(bare) > 253 || !hostForm.MatchString(bare) || digitsAtEnd.MatchString(bare) {
		return "", fmt.Sprintf("has no valid host: %q is neither an IP address nor a host name", s), targetForms
	}
	return name, "", ""
}

// parsePort normalises the port to :PORT, or to nothing where it is the scheme's own.
func parsePort(u *url.URL) (port, message, remedy string) {
	s := u.Port()
	switch {
	case s == "" && u.Scheme == "tcp":
		return "", "has no port", "add the port, such as tcp://203.0.113.9:443"
	case s == "":
		return "", "", ""
	case u.Scheme == "icmp":
		return "", "has a port", "leave out the port: ICMP has none"
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Sprintf("has no valid port: %q", s), "use a port from 1 to 65535"
	}
	if u.Scheme == "http" && n == 80 || u.Scheme == "https" && n == 443 {
		return "", "", ""
	}
	return ":" + strconv.FormatUint(n, 10), "", ""
}
