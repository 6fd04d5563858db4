package config

import (
	"fmt"
	"net/netip"
	"path"
	"strings"

	"replypath/health"
)

// fileEndpoint is the table [endpoint] as written.
type fileEndpoint struct{ listen, token, cert, key *stringValue }

func (t table) asEndpoint() fileEndpoint {
	return fileEndpoint{
		listen: t.stringAt("listen", endpointKeys),
		token:  t.stringAt("token_file", endpointKeys),
		cert:   t.stringAt("tls_cert", endpointKeys),
		key:    t.stringAt("tls_key", endpointKeys),
	}
}

// resolve returns the settings with the keys of the table in place of the defaults.
func (f fileEndpoint) resolve(defaults health.EndpointSettings) health.EndpointSettings {
	e := defaults
	if f.listen != nil {
		e.Listen = f.listen.asAddrPort(e.Listen)
	}
	e.TokenFile = f.token.asPath(e.TokenFile)
	e.CertFile = f.cert.asPath(e.CertFile)
	e.KeyFile = f.key.asPath(e.KeyFile)
	switch cert, key := f.cert.isSet(), f.key.isSet(); {
	case cert && !key:
		f.cert.addMistake("add tls_key, or remove tls_cert", "tls_cert is set without tls_key")
	case key && !cert:
		f.key.addMistake("add tls_cert, or remove tls_key", "tls_key is set without tls_cert")
	}
	return e
}

// asAddrPort parses the address and port to listen on.
func (t *stringValue) asAddrPort(fallback netip.AddrPort) netip.AddrPort {
	if t.val == off {
		return netip.AddrPort{}
	}
	a, err := netip.ParseAddrPort(t.val)
	switch is := notUnicast(a.Addr().WithZone("")); {
	case err != nil:
		t.addMistake(`write an address and a port, such as "127.0.0.1:9717" or "[::1]:9717", or "off"`,
			"%s %q is not an address and a port", t.key, t.val)
	case a.Port() == 0:
		t.addMistake("use a port from 1 to 65535", "%s %q has port 0", t.key, t.val)
	case a.Addr().Is4In6():
		t.addMistake("write it as "+netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String(), "%s %s is %s", t.key, a, is)
	case is != "" && !a.Addr().IsLoopback() && !a.Addr().IsUnspecified():
		t.addMistake("write an address of this host", "%s %s is %s", t.key, a, is)
	default:
		return a
	}
	return fallback
}

// isSet reports whether the key is set to a non-empty string.
func (t *stringValue) isSet() bool { return t != nil && t.val != "" }

// asPath returns the path of a file; an empty string means none.
func (t *stringValue) asPath(fallback string) string {
	switch {
	case t == nil:
		return fallback
	case t.val == "":
		return ""
	}
	if message, remedy := checkPath(t.val); message != "" {
		t.addMistake(remedy, "%s %s", t.key, message)
		return fallback
	}
	return t.val
}

// checkPath returns what is wrong with the spelling of a file's path, or "". It does not look at the file.
func checkPath(s string) (message, remedy string) {
	switch {
	case s == "":
		return "is empty", "write the path of a file"
	case strings.ContainsRune(s, 0):
		return fmt.Sprintf("%q contains a NUL byte", s), "write the path of a file"
	case !path.IsAbs(s):
		return fmt.Sprintf("%q is not an absolute path", s), "write the path from / on"
	case path.Clean(s) != s:
		return fmt.Sprintf("%q is not in its shortest form", s), "write it as " + path.Clean(s)
	case s == "/":
		return `"/" is a directory`, "write the path of a file"
	}
	return "", ""
}

// resolvePrograms checks the programs that are run on events.
func resolvePrograms(written []stringValue) (all []string) {
	for i, t := range written {
		if message, remedy := checkPath(t.val); message != "" {
			t.addMistake(remedy, "%s %s", t.key, message)
			continue
		}
		if t.reportDuplicate(written[:i]) {
			continue
		}
		all = append(all, t.val)
	}
	return all
}

// reportDuplicate reports, and returns true, if the string is already in the list.
func (t stringValue) reportDuplicate(earlier []stringValue) bool {
	for _, e := range earlier {
		if e.val == t.val {
			t.addMistake("remove one of them", "%s lists %q twice", t.key, t.val)
			return true
		}
	}
	return false
}
