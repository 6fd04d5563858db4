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

// resolve is the usual endpoint with what is written in its place.
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
		f.cert.addMistake("add tls_key, or leave out tls_cert", "tls_cert has no tls_key")
	case key && !cert:
		f.key.addMistake("add tls_cert, or leave out tls_key", "tls_key has no tls_cert")
	}
	return e
}

// asAddrPort reads an address and a port to listen at.
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
		t.addMistake("use a port from 1 to 65535", "%s %q has no port", t.key, t.val)
	case a.Addr().Is4In6():
		t.addMistake("write it as "+netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String(), "%s %s is %s", t.key, a, is)
	case is != "" && !a.Addr().IsLoopback() && !a.Addr().IsUnspecified():
		t.addMistake("write an address of this host", "%s %s is %s", t.key, a, is)
	default:
		return a
	}
	return fallback
}

// isSet reports whether the key stands for something.
func (t *stringValue) isSet() bool { return t != nil && t.val != "" }

// asPath is the path of a file. An empty text is none.
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

// checkPath says what is wrong with the path of a file, and nothing when it is right. Whether the file is there is
// another question.
func checkPath(s string) (message, remedy string) {
	switch {
	case s == "":
		return "is empty", "write the path of a file"
	case strings.ContainsRune(s, 0):
		return fmt.Sprintf("%q holds a NUL", s), "write the path of a file"
	case !path.IsAbs(s):
		return fmt.Sprintf("%q does not begin with /", s), "write the whole path: it is used without a shell or a folder to begin in"
	case path.Clean(s) != s:
		return fmt.Sprintf("%q is not the shortest form of its path", s), "write it as " + path.Clean(s)
	case s == "/":
		return `"/" is a folder`, "write the path of a file"
	}
	return "", ""
}

// resolvePrograms checks the programs that are told of events.
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

// reportDuplicate remembers that the same stands earlier in the list.
func (t stringValue) reportDuplicate(earlier []stringValue) bool {
	for _, e := range earlier {
		if e.val == t.val {
			t.addMistake("leave one of them out", "%s names %q twice", t.key, t.val)
			return true
		}
	}
	return false
}
