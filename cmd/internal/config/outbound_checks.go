package config

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// comparedByIPv4 are the bits of the type of service that a rule of IPv4 can have (Linux, INET_DSCP_LEGACY_TOS_MASK).
const comparedByIPv4 = 0x1c

// checkPossible reports selectors that no packet meets, and sets the family that the rule is limited to.
func (r *outboundResolver) checkPossible(f fileSteering, s *uplinks.Steering) {
	at := func(key string) value { v, _ := f.table.valueAt(key); return v }
	families := familiesOf(s.From, s.To)
	if len(families) == 0 {
		at("to").addMistake("write networks of one family in both", "rule %q selects nothing: from and to have no address family in common", f.name)
	}
	if len(families) == 1 {
		s.IPVersion = uint8(families[0])
	}
	if s.Not && (len(s.From) > 1 || len(s.To) > 1) {
		at("not").addMistake("make a rule of its own for each network, or one without not before it", "not with several networks would select every packet: each is outside of one of them")
	}
	if s.OIF != "" && s.IIF != "" && s.IIF != "lo" {
		at("oif").addMistake(`remove one of them, or write iif = "lo"`, "rule %q selects nothing: only packets of this host have an oif, and none of them comes in by %s", f.name, s.IIF)
	}
	if s.UIDs.Set && s.IIF != "" && s.IIF != "lo" {
		at("uidrange").addMistake(`remove one of them, or write iif = "lo"`, "rule %q selects nothing: only packets of this host have a user, and none of them comes in by %s", f.name, s.IIF)
	}
	if (s.Sport != uplinks.PortRange{} || s.Dport != uplinks.PortRange{}) && s.Proto != 0 && !slices.Contains([]uint8{6, 17, 33, 132, 136}, s.Proto) {
		at("ipproto").addMistake("remove the ports, or use tcp, udp, sctp or dccp", "rule %q selects nothing: packets of this protocol have no ports", f.name)
	}
	if s.TOS&^comparedByIPv4 != 0 && slices.Contains(families, uplinks.IPv4) {
		key := "tos"
		if _, written := f.table.valueAt(key); !written {
			key = "dsfield"
		}
		at(key).addMistake("limit the rule to IPv6 by from or to, such as to = \"2000::/3\"; for IPv4 mark such packets by the firewall, and select by fwmark", "rule %q cannot be: of the type of service, IPv4 compares the bits of %#x only", f.name, comparedByIPv4)
	}
	if s.Mask&r.config.Mask != 0 {
		at("fwmark").addMistake(fmt.Sprintf("use bits outside of the mask %s", r.config.Mask), "rule %q selects nothing: a packet with bits of %s has its uplink already", f.name, r.config.Mask)
	}
	for _, u := range r.uplinks {
		if s.IIF != "" && uplinks.MatchesLink(u.interfaceName(), s.IIF) && !s.Not {
			at("iif").addMistake("name the interface by which the hosts inside send", "rule %q selects nothing: what comes in by %s, the interface of uplink %q, began outside", f.name, s.IIF, u.name)
		}
	}
}

// familiesOf returns the address families in which a packet can fit both lists. An empty list is every network.
func familiesOf(from, to []netip.Prefix) (all []uplinks.Family) {
	has := func(list []netip.Prefix, f uplinks.Family) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(p netip.Prefix) bool { return uplinks.FamilyOf(p.Addr()) == f })
	}
	for _, f := range uplinks.Families {
		if has(from, f) && has(to, f) {
			all = append(all, f)
		}
	}
	return all
}

// checkReached reports that an earlier rule takes every packet that the rule selects.
func (f fileSteering) checkReached(s uplinks.Steering, all []fileSteering, earlier []uplinks.Steering) {
	for i, e := range earlier {
		if covers(e, s) {
			f.head.in.src.addMistake(f.head.keyRange(), fmt.Sprintf("rule %q is never reached: rule %q before it (%s) takes every packet that it selects", f.name, e.Name, all[i].head.location()),
				"put it before that rule, or remove it")
			return
		}
	}
}

// covers reports whether a selects every packet that b selects. It is not certain to find all such pairs with not.
func covers(a, b uplinks.Steering) bool {
	if a.Not || b.Not && a.Name != "" && !selectsAll(a) {
		return a.Not && b.Not && sameSelectors(a, b)
	}
	within := func(outer, inner []netip.Prefix) bool {
		if len(outer) == 0 {
			return true
		}
		return len(inner) > 0 && !slices.ContainsFunc(inner, func(p netip.Prefix) bool {
			return !slices.ContainsFunc(outer, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
		})
	}
	ports := func(outer, inner uplinks.PortRange) bool {
		return outer == (uplinks.PortRange{}) || inner.First >= outer.First && inner.Last <= outer.Last && inner != (uplinks.PortRange{})
	}
	return within(a.From, b.From) && within(a.To, b.To) && (a.IPVersion == 0 || a.IPVersion == b.IPVersion) &&
		(a.IIF == "" || a.IIF == b.IIF) && (a.OIF == "" || a.OIF == b.OIF) && (a.Proto == 0 || a.Proto == b.Proto) &&
		ports(a.Sport, b.Sport) && ports(a.Dport, b.Dport) && (a.TOS == 0 || a.TOS == b.TOS) && (a.Tunnel == 0 || a.Tunnel == b.Tunnel) &&
		(!a.L3mdev || b.L3mdev) && (!a.UIDs.Set || b.UIDs.Set && b.UIDs.First >= a.UIDs.First && b.UIDs.Last <= a.UIDs.Last) &&
		(a.Mask == 0 || b.Mask&a.Mask == a.Mask && uint32(b.Mark)&uint32(a.Mask) == uint32(a.Mark))
}

// selectsAll reports whether the rule has no selector.
func selectsAll(s uplinks.Steering) bool { return sameSelectors(s, uplinks.Steering{}) }

// sameSelectors reports whether the rules have the same selectors, apart from not.
func sameSelectors(a, b uplinks.Steering) bool {
	return slices.Equal(a.From, b.From) && slices.Equal(a.To, b.To) && a.IIF == b.IIF && a.Mark == b.Mark && a.Mask == b.Mask && a.Selectors == b.Selectors
}
