package config

import (
	"fmt"
	"net/netip"
	"path"
	"strings"

	"replypath/health"
)

// fileEndpoint is the table [endpoint] as written.
type fileEndpoint struct{ listen, token, cert, key *text }

func (t table) endpoint() fileEndpoint {
	return fileEndpoint{
		listen: t.text("listen", endpointKeys),
		token:  t.text("token_file", endpointKeys),
		cert:   t.text("tls_cert", endpointKeys),
		key:    t.text("tls_key", endpointKeys),
	}
}

// believe is the usual endpoint with what is written in its place.
func (f fileEndpoint) believe(usual health.Endpoint) health.Endpoint {
	e := usual
	if f.listen != nil {
		e.Listen = f.listen.socket(e.Listen)
	}
	e.TokenFile = f.token.file(e.TokenFile)
	e.CertFile = f.cert.file(e.CertFile)
	e.KeyFile = f.key.file(e.KeyFile)
	switch cert, key := f.cert.given(), f.key.given(); {
	case cert && !key:
		f.cert.wrong("add tls_key, or leave out tls_cert", "tls_cert has no tls_key")
	case key && !cert:
		f.key.wrong("add tls_cert, or leave out tls_key", "tls_key has no tls_cert")
	}
	return e
}

// socket reads an address and a port to listen at.
func (t *text) socket(usual netip.AddrPort) netip.AddrPort {
	if t.is == off {
		return netip.AddrPort{}
	}
	a, err := netip.ParseAddrPort(t.is)
	switch is := unfit(a.Addr().WithZone("")); {
	case err != nil:
		t.wrong(`write an address and a port, such as "127.0.0.1:9717" or "[::1]:9717", or "off"`,
			"%s %q is not an address and a port", t.key, t.is)
	case a.Port() == 0:
		t.wrong("use a port from 1 to 65535", "%s %q has no port", t.key, t.is)
	case a.Addr().Is4In6():
		t.wrong("write it as "+netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String(), "%s %s is %s", t.key, a, is)
	case is != "" && !a.Addr().IsLoopback() && !a.Addr().IsUnspecified():
		t.wrong("write an address of this host", "%s %s is %s", t.key, a, is)
	default:
		return a
	}
	return usual
}

// given reports whether the key stands for something.
func (t *text) given() bool { return t != nil && t.is != "" }

// file is the path of a file. An empty text is none.
func (t *text) file(usual string) string {
	switch {
	case t == nil:
		return usual
	case t.is == "":
		return ""
	}
	if message, remedy := wrongPath(t.is); message != "" {
		t.wrong(remedy, "%s %s", t.key, message)
		return usual
	}
	return t.is
}

// wrongPath says what is wrong with the path of a file, and nothing when it is right. Whether the file is there is
// another question.
func wrongPath(s string) (message, remedy string) {
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

// believePrograms checks the programs that are told of events.
func believePrograms(written []text) (all []string) {
	for i, t := range written {
		if message, remedy := wrongPath(t.is); message != "" {
			t.wrong(remedy, "%s %s", t.key, message)
			continue
		}
		if t.twice(written[:i]) {
			continue
		}
		all = append(all, t.is)
	}
	return all
}

// twice remembers that the same stands earlier in the list.
func (t text) twice(earlier []text) bool {
	for _, e := range earlier {
		if e.is == t.is {
			t.wrong("leave one of them out", "%s names %q twice", t.key, t.is)
			return true
		}
	}
	return false
}
