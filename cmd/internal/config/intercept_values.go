package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// resolve checks the values of one intercept.
func (f *fileIntercept) resolve(ups []fileUplink) {
	before := len(*f.header.in.src.mistakes)
	f.resolveFrom(ups)
	f.resolved = uplinks.Intercept{Name: f.name, Links: f.links, Without: uplinks.Pass,
		Protocols: resolveProtocols(f.protocol), Ports: resolvePorts(f.ports),
		Sources: resolveNetworks(f.sources), To: resolveNetworks(f.to)}
	f.resolveProxy()
	f.resolveCheck()
	switch w := f.without; {
	case w == nil:
	case w.val == string(uplinks.Pass), w.val == string(uplinks.DropNew):
		f.resolved.Without = uplinks.Without(w.val)
	default:
		w.addMistake(`use "pass" (connections are routed as without the proxy) or "drop"`, "unknown without %q", w.val)
	}
	f.valid = len(*f.header.in.src.mistakes) == before && f.proxy != nil && len(f.from) > 0 && (f.allPorts || len(f.ports) > 0)
	if f.valid && len(f.resolved.Families()) == 0 {
		f.header.in.src.addMistake(f.header.keyRange(), "sources, to and proxy of intercept "+strconv.Quote(f.name)+" have no address family in common",
			"use addresses of one family, or of both")
		f.valid = false
	}
}

// resolveFrom sets the links: an element is an uplink's name, "uplinks" or an interface.
func (f *fileIntercept) resolveFrom(ups []fileUplink) {
	add := func(link string, uplink bool) {
		if !slices.Contains(f.links, link) {
			f.links = append(f.links, link)
		}
		f.fromUplink = f.fromUplink || uplink
	}
	for i, t := range f.from {
		t.reportDuplicate(f.from[:i])
		named := slices.IndexFunc(ups, func(u fileUplink) bool { return u.name == t.val })
		used := slices.IndexFunc(ups, func(u fileUplink) bool { return uplinks.MatchesLink(u.interfaceName(), t.val) })
		switch message, remedy := checkInterface(t.val); {
		case t.val == allUplinks:
			for _, u := range ups {
				add(u.interfaceName(), true)
			}
		case named >= 0:
			add(ups[named].interfaceName(), true)
		case message != "" && (used < 0 || ups[used].interfaceName() != t.val):
			t.addMistake(remedy, "%s", message)
		default:
			add(t.val, used >= 0)
		}
	}
}

// resolveProtocols returns the protocols, tcp if there are none.
func resolveProtocols(texts []stringValue) (all []string) {
	for i, t := range texts {
		t.reportDuplicate(texts[:i])
		if t.val != "tcp" && t.val != "udp" {
			t.addMistake(`use "tcp", "udp" or ["tcp", "udp"]`, "unknown protocol %q", t.val)
			continue
		}
		all = append(all, t.val)
	}
	if len(texts) == 0 {
		return []string{"tcp"}
	}
	return all
}

// resolvePorts returns the ranges: an element is a port or a string "FIRST-LAST".
func resolvePorts(values []value) (all []marks.PortRange) {
	for _, v := range values {
		r, ok := parsePortRange(v.raw)
		if !ok {
			v.addMistake(`write ports from 1 to 65535 as 80 or "8000-8080"`, "%s cannot be %v", v.describe(), v.raw)
			continue
		}
		all = append(all, r)
	}
	return all
}

func parsePortRange(raw any) (r marks.PortRange, ok bool) {
	switch raw := raw.(type) {
	case int64:
		return marks.PortRange{First: uint16(raw), Last: uint16(raw)}, raw >= 1 && raw <= 65535
	case string:
		first, last, isRange := strings.Cut(raw, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		return marks.PortRange{First: uint16(a), Last: uint16(b)}, errA == nil && errB == nil && a >= 1 && a <= b
	}
	return r, false
}

// resolveNetworks returns the list: an element is a network, after a "!" one that is left out.
func resolveNetworks(texts []stringValue) (l uplinks.NetworkList) {
	for i, t := range texts {
		t.reportDuplicate(texts[:i])
		text, out := strings.CutPrefix(t.val, "!")
		p, message, remedy := parseNetwork(strings.TrimSpace(text))
		switch {
		case message != "":
			t.addMistake(remedy, "%s", message)
		case out:
			l.Out = append(l.Out, p)
		default:
			l.In = append(l.In, p)
		}
	}
	return l
}

// parseNetwork parses a network or an address, or returns what is wrong with it and a remedy.
func parseNetwork(s string) (p netip.Prefix, message, remedy string) {
	const form = `write a network such as "198.18.0.0/24", or "!198.18.0.0/24" to leave it out`
	p, err := netip.ParsePrefix(s)
	if a, failed := netip.ParseAddr(s); failed == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil:
		return p, strconv.Quote(s) + " is not a network", form
	case p.Addr().Zone() != "" || p.Addr().Is4In6():
		return p, strconv.Quote(s) + " is not a network of IPv4 or IPv6", form
	case p.Bits() == 0:
		return p, strconv.Quote(s) + " is every address", "leave the list empty for all addresses"
	case p != p.Masked():
		return p, s + " has bits beyond its length", "write it as " + p.Masked().String()
	}
	return p, "", ""
}

// resolveProxy sets where the proxy listens: a port, or ADDRESS:PORT.
func (f *fileIntercept) resolveProxy() {
	const remedy = `write the port on which the proxy listens, such as 50080, or an address of this host with it: "198.18.0.1:50080"`
	if f.proxy == nil {
		return
	}
	switch raw := f.proxy.raw.(type) {
	case int64:
		if raw >= 1 && raw <= 65535 {
			f.resolved.Port = uint16(raw)
			return
		}
	case string:
		at, err := netip.ParseAddrPort(raw)
		if err == nil && at.Port() != 0 && at.Addr().Zone() == "" && !at.Addr().Is4In6() && !at.Addr().IsMulticast() {
			f.resolved.Port = at.Port()
			if !at.Addr().IsUnspecified() {
				f.resolved.Addr = at.Addr()
			}
			return
		}
	}
	f.proxy.addMistake(remedy, "proxy cannot be %v", f.proxy.raw)
}

// resolveCheck sets the URL that the proxy answers itself.
func (f *fileIntercept) resolveCheck() {
	if f.check == nil || f.check.val == "" {
		return
	}
	check, ok := parseCheck(f.check.val)
	if !ok {
		f.check.addMistake("use tcp://ADDRESS:PORT or http://ADDRESS:PORT/PATH with an address of this host, such as http://127.0.0.1:50080/alive",
			"check cannot be %q", f.check.val)
	}
	f.resolved.Check = check
}

// parseCheck returns the check in normal form.
func parseCheck(text string) (check string, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Fragment != "" {
		return "", false
	}
	host := u.Host
	if u.Scheme == "http" && u.Port() == "" {
		host += ":80"
	}
	at, err := netip.ParseAddrPort(host)
	if err != nil || at.Port() == 0 || at.Addr().Zone() != "" || at.Addr().IsUnspecified() || at.Addr().IsMulticast() {
		return "", false
	}
	switch u.Scheme {
	case "tcp":
		return "tcp://" + at.String(), u.Path == "" && u.RawQuery == ""
	case "http":
		u.Host = at.String()
		return u.String(), true
	}
	return "", false
}
