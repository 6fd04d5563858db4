package config

import (
	"net/url"

	"replypath/health"
)

// filePeer is the table [peer] as written.
type filePeer struct{ url, token, ca *stringValue }

func (t table) asPeer() filePeer {
	return filePeer{
		url:   t.stringAt("url", peerKeys),
		token: t.stringAt("token_file", peerKeys),
		ca:    t.stringAt("ca_file", peerKeys),
	}
}

// resolve returns the settings with the keys of the table in place of the defaults.
func (f filePeer) resolve(defaults health.PeerSettings) health.PeerSettings {
	p := defaults
	if f.url.isSet() {
		if message, remedy := CheckPeerURL(f.url.val); message != "" {
			f.url.addMistake(remedy, "url %q %s", f.url.val, message)
		} else {
			p.URL = f.url.val
		}
	}
	p.TokenFile = f.token.asPath(p.TokenFile)
	p.CAFile = f.ca.asPath(p.CAFile)
	for _, t := range []*stringValue{f.token, f.ca} {
		if t.isSet() && !f.url.isSet() {
			t.addMistake("add url, or remove "+t.key, "%s is set without url", t.key)
		}
	}
	if f.ca.isSet() && f.url.isSet() && p.URL != "" && !isHTTPS(p.URL) {
		f.ca.addMistake("write the url with https://, or remove ca_file", "ca_file is set, and url is without TLS")
	}
	return p
}

// CheckPeerURL returns what is wrong with the URL of a peer, or "".
func CheckPeerURL(text string) (message, remedy string) {
	const form = `write http://ADDRESS:PORT or https://NAME:PORT, such as "https://198.51.100.12:9717"`
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "is not a URL", form
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "is neither http:// nor https:// with a host", form
	case u.User != nil:
		return "has a user or a password", "remove it: the token is read from token_file"
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return "has a path", form
	}
	return "", ""
}

func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https"
}
