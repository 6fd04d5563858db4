package config

import (
	"fmt"
	"net/netip"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// The bounds between two proofs.
const minEvery, maxEvery = 5 * time.Second, 24 * time.Hour

// fileProving is the table [proof] as written.
type fileProving struct {
	never  bool
	every  *span
	source []text
}

func (t table) proving() fileProving {
	f := fileProving{source: t.textOrAnyList("source", proofKeys)}
	if v, ok := t.value("every"); ok && v.is == off {
		f.never = true
		return f
	}
	f.every = t.span("every", proofKeys)
	return f
}

// believe is how the reply path is shown usually, with what is written in its place.
func (f fileProving) believe(usual health.Proving) health.Proving {
	p := usual
	if f.never || f.every != nil && f.every.is == 0 {
		p.Every = 0
	} else {
		p.Every = f.every.within(p.Every, minEvery, maxEvery)
	}
	for _, t := range f.source {
		addr, message, remedy := parseAsker(t.is)
		if message != "" {
			t.wrong(remedy, "%s", message)
			continue
		}
		to := &p.Source4
		if addr.Is6() {
			to = &p.Source6
		}
		if to.IsValid() {
			t.wrong("keep one source for each family", "%s is a second %s source, beside %s", addr, uplinks.FamilyOf(addr), *to)
			continue
		}
		*to = addr
	}
	return p
}

// parseAsker reads the address that seems to ask.
func parseAsker(s string) (addr netip.Addr, message, remedy string) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return addr, fmt.Sprintf("source %q is not an IP address", s), `write an address such as "203.0.113.77" or "2001:db8:ffff::77"`
	}
	if addr.Is4In6() {
		return addr, fmt.Sprintf("source %s is %s", addr, unfit(addr)), "write it as " + addr.Unmap().String()
	}
	if is := local(addr); is != "" {
		return addr, fmt.Sprintf("source %s is %s", addr, is), "write an address beyond the uplinks, such as one for documentation"
	}
	return addr, "", ""
}

// local says why the address means nothing beyond a link.
func local(addr netip.Addr) string {
	switch {
	case addr.IsLinkLocalUnicast():
		return "a link-local address"
	case addr.Zone() != "":
		return "an address with a zone"
	}
	return unfit(addr)
}
