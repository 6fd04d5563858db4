package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"replypath/health"
)

const targetForms = `use icmp://HOST, tcp://HOST:PORT, http://HOST/..., https://HOST/... or "gateway"`

// parseTarget parses a target, or returns what is wrong with it and a remedy.
func parseTarget(s string) (target health.Target, message, remedy string) {
	if s == string(health.Gateway) {
		return health.Target{Kind: health.Gateway}, "", ""
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return target, "contains a character that is not allowed in a URL", "percent-encode it, or write the host name in its xn-- form"
		}
	}
	u, err := url.Parse(s)
	if err != nil {
		return target, "is not a URL", targetForms + "; write an IPv6 address in [ ]"
	}
	if message, remedy = checkURLParts(u); message != "" {
		return target, message, remedy
	}
	if target.Host, message, remedy = parseHost(u.Hostname()); message != "" {
		return target, message, remedy
	}
	port, message, remedy := parsePort(u)
	if message != "" {
		return target, message, remedy
	}
	switch u.Scheme {
	case "icmp":
		target.Kind = health.ICMP
	case "tcp":
		target.Kind, target.Port = health.TCP, port
	default:
		target.Kind, target.URL = health.HTTP, webURL(u, target.Host, port)
	}
	return target, "", ""
}

// webURL returns the URL in normal form, so that equivalent URLs are equal.
func webURL(u *url.URL, host string, port uint16) string {
	u.Host = host
	if strings.Contains(host, ":") {
		u.Host = "[" + host + "]"
	}
	if usual := map[string]uint16{"http": 80, "https": 443}; port != 0 && port != usual[u.Scheme] {
		u.Host += ":" + strconv.Itoa(int(port))
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// checkURLParts returns a mistake for a URL with a part that no probe uses.
func checkURLParts(u *url.URL) (message, remedy string) {
	web := u.Scheme == "http" || u.Scheme == "https"
	switch {
	case !web && u.Scheme != "icmp" && u.Scheme != "tcp":
		return "has an unknown scheme", targetForms
	case u.Opaque != "" || u.Host == "":
		return "has no host", targetForms
	case u.User != nil:
		return "contains a user name", "remove everything before the @, and the @"
	case u.Fragment != "" || strings.HasSuffix(u.String(), "#"):
		return "has a fragment", "remove the # and everything after it"
	case !web && (u.Path != "" || u.RawQuery != "" || u.ForceQuery):
		return "has a path", "remove everything after the host" + map[string]string{"tcp": " and port"}[u.Scheme]
	}
	return "", ""
}

// The last label of a host name is not all digits (RFC 1123, 2.1): a mistyped IPv4 address must not be looked up in the DNS.
var hostPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
})
var trailingDigits = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(^|\.)[0-9]+$`) })

// parseHost returns the address or host name in normal form, or what is wrong with it and a remedy.
func parseHost(s string) (host, message, remedy string) {
	if addr, err := netip.ParseAddr(s); err == nil {
		switch is := notUnicast(addr.WithZone("")); {
		case addr.Zone() != "":
			return "", "has a zone", "remove the % and everything after it: a probe leaves by its own uplink"
		case is != "":
			return "", "is " + is, "use the address of a host beyond the uplink"
		}
		return addr.String(), "", ""
	}
	name := strings.ToLower(s)
	bare := strings.TrimSuffix(name, ".")
	if len(bare) > 253 || !hostPattern().MatchString(bare) || trailingDigits().MatchString(bare) {
		return "", fmt.Sprintf("has no valid host: %q is neither an IP address nor a host name", s), targetForms
	}
	return name, "", ""
}

// parsePort returns the port, which is 0 if there is none and none is needed.
func parsePort(u *url.URL) (port uint16, message, remedy string) {
	s := u.Port()
	switch {
	case s == "" && u.Scheme == "tcp":
		return 0, "has no port", "add the port, such as tcp://203.0.113.9:443"
	case s == "":
		return 0, "", ""
	case u.Scheme == "icmp":
		return 0, "has a port", "remove the port: ICMP has none"
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Sprintf("has no valid port: %q", s), "use a port from 1 to 65535"
	}
	return uint16(n), "", ""
}
