package doctor

import (
	"net/netip"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/egress"
)

// checkPolicies reports IPsec policies that block requests to, or replies of, the addresses of uplinks and the hosts behind
// this one, and those that encrypt replies.
func (s Snapshot) checkPolicies() []Finding {
	var lines []string
	severity := Warning
	for _, p := range s.Egress.Policies {
		peers, concerns := s.peersOf(p)
		wide := peers.IsValid() && peers.Bits() <= uplinks.MaxDefaultPrefixLen(uplinks.FamilyOf(peers.Addr()))
		if !concerns || p.Passes() || !p.Block && (!wide || p.Direction != egress.Out) {
			continue
		}
		if wide && p.Proto == 0 && p.Mask == 0 && p.SportMask == 0 && p.DportMask == 0 {
			severity = Error
		}
		lines = append(lines, "ip xfrm policy: "+p.String())
	}
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "ipsec-policy", Severity: severity, Evidence: limitEvidence(lines),
		Message: "IPsec policies block requests or replies of uplinks, or send replies into a tunnel",
		Remedy:  "restrict those policies to the networks of the tunnel: ip xfrm policy"}}
}

// peersOf returns the clients, by their addresses, whose requests to an uplink, or the replies to them, the policy selects.
// Private networks are not reached by way of uplinks.
func (s Snapshot) peersOf(p egress.Policy) (peers netip.Prefix, concerns bool) {
	switch p.Direction {
	case egress.Out:
		return p.To, !p.To.Addr().IsPrivate() && s.hasUplinkAddr(p.From, p.Link)
	case egress.In:
		return p.From, !p.From.Addr().IsPrivate() && s.hasUplinkAddr(p.To, p.Link)
	case egress.Forward:
		inside, outside := p.From, p.To // of a reply
		if p.To.Bits() > p.From.Bits() {
			inside, outside = p.To, p.From // of a request
		}
		return outside, s.isBehind(inside) && !outside.Addr().IsPrivate()
	}
	return peers, false
}

// hasUplinkAddr reports whether the prefix has an address of an uplink, on the link with that index unless it is 0.
func (s Snapshot) hasUplinkAddr(prefix netip.Prefix, link int) bool {
	for _, u := range s.presentUplinks() {
		l := s.Facts.Links[u.Link]
		for _, a := range l.Addrs {
			if !a.LinkLocal && prefix.Contains(a.Prefix.Addr()) && (link == 0 || link == l.Index) {
				return true
			}
		}
	}
	return false
}

// isBehind reports whether the prefix overlaps a network of a link that is no uplink.
func (s Snapshot) isBehind(prefix netip.Prefix) bool {
	for name, l := range s.Facts.Links {
		if l.Isolated || slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool { return u.Link == name }) {
			continue
		}
		for n := range l.Networks() {
			if n.Overlaps(prefix) {
				return true
			}
		}
	}
	return false
}
