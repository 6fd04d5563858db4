package config

import (
	"fmt"
	"net/netip"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// The bounds of the interval between two proofs.
const minEvery, maxEvery = 5 * time.Second, 24 * time.Hour

// fileProof is the table [proof] as written.
type fileProof struct {
	off    bool
	every  *durationValue
	source []stringValue
}

func (t table) asProof() fileProof {
	f := fileProof{source: t.stringOrOptionalStringsAt("source", proofKeys)}
	if v, ok := t.valueAt("every"); ok && v.raw == off {
		f.off = true
		return f
	}
	f.every = t.durationAt("every", proofKeys)
	return f
}

// resolve returns the settings with the keys of the table in place of the defaults.
func (f fileProof) resolve(defaults health.ProofSettings) health.ProofSettings {
	p := defaults
	if f.off || f.every != nil && f.every.val == 0 {
		p.Interval = 0
	} else {
		p.Interval = f.every.within(p.Interval, minEvery, maxEvery)
	}
	for _, t := range f.source {
		addr, message, remedy := parseSource(t.val)
		if message != "" {
			t.addMistake(remedy, "%s", message)
			continue
		}
		to := &p.Source4
		if addr.Is6() {
			to = &p.Source6
		}
		if to.IsValid() {
			t.addMistake("keep one source per family", "%s is a second %s source besides %s", addr, uplinks.FamilyOf(addr), *to)
			continue
		}
		*to = addr
	}
	return p
}

// parseSource parses the source address of injected requests.
func parseSource(s string) (addr netip.Addr, message, remedy string) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return addr, fmt.Sprintf("source %q is not an IP address", s), `write an address such as "203.0.113.77" or "2001:db8:ffff::77"`
	}
	if addr.Is4In6() {
		return addr, fmt.Sprintf("source %s is %s", addr, notUnicast(addr)), "write it as " + addr.Unmap().String()
	}
	if is := notGlobal(addr); is != "" {
		return addr, fmt.Sprintf("source %s is %s", addr, is), "use an address that no host of yours has, such as a documentation address (RFC 5737, RFC 3849)"
	}
	return addr, "", ""
}

// notGlobal returns why the address is not unique beyond a link, or "".
func notGlobal(addr netip.Addr) string {
	switch {
	case addr.IsLinkLocalUnicast():
		return "a link-local address"
	case addr.Zone() != "":
		return "an address with a zone"
	}
	return notUnicast(addr)
}
