package config

import (
	"fmt"
	"math"
	"net/netip"

	"replypath/uplinks"
)

// fileSteering is a rule of [outbound.rules] as written.
type fileSteering struct {
	name     string
	head     value
	table    table
	from, to []stringValue
	iif, oif *stringValue
	use      *stringValue
}

// asSteering reads one rule's table.
func (t table) asSteering(name string, head value) fileSteering {
	t.rejectUnknownKeys(steeringKeys)
	f := fileSteering{name: name, head: head, table: t, from: t.stringOrStringsAt("from", steeringKeys), to: t.stringOrStringsAt("to", steeringKeys),
		iif: t.stringAt("iif", steeringKeys), oif: t.stringAt("oif", steeringKeys), use: t.stringAt("use", steeringKeys)}
	if _, has := t.keys["use"]; !has {
		t.src.addMistake(head.keyRange(), fmt.Sprintf("rule %q has no use", name), `add use = "fibre": a policy, an uplink, "main", "unreachable", "blackhole" or "prohibit"`)
	}
	return f
}

// steering checks one rule and returns it, and whether it has no mistake.
func (r *outboundResolver) steering(f fileSteering) (s uplinks.Steering, ok bool) {
	src := f.head.in.src
	before := len(*src.mistakes)
	s = uplinks.Steering{Name: f.name, From: networks(f.from), To: networks(f.to), Not: f.table.boolAt("not", steeringKeys)}
	s.L3mdev = f.table.boolAt("l3mdev", steeringKeys)
	if !isName(f.name) {
		src.addMistake(f.head.keyRange(), fmt.Sprintf("%q is not a valid rule name", f.name), "use 1 to 15 of the characters a-z, 0-9, _ and -")
	}
	if f.use != nil {
		s.Use = r.use(*f.use, true)
	}
	s.IIF, s.OIF = interfaceOf(f.iif), interfaceOf(f.oif)
	s.Proto = f.table.protocolAt("ipproto")
	s.Sport, s.Dport = f.table.portRangeAt("sport"), f.table.portRangeAt("dport")
	if first, last, ok := f.table.rangeAt("uidrange", math.MaxUint32); ok {
		s.UIDs = uplinks.UIDRange{First: uint32(first), Last: uint32(last), Set: true}
	}
	s.TOS = f.table.tosAt()
	s.Mark, s.Mask = f.table.markAt("fwmark")
	if n, _, ok := f.table.rangeAt("tun_id", math.MaxInt64); ok {
		s.Tunnel = n
	}
	r.checkPossible(f, &s)
	return s, len(*src.mistakes) == before
}

// networks parses prefixes.
func networks(written []stringValue) (all []netip.Prefix) {
	for _, t := range written {
		p, message, remedy := parsePrefix(t.val)
		if message != "" {
			t.addMistake(remedy, "%s %q %s", t.key, t.val, message)
			continue
		}
		all = append(all, p)
	}
	return all
}

// interfaceOf checks the name of an interface, which may be lo.
func interfaceOf(t *stringValue) string {
	if t == nil {
		return ""
	}
	switch message, remedy := checkInterface(t.val); {
	case t.val == "lo":
	case message != "":
		t.addMistake(remedy, "%s", message)
	case len(t.val) > uplinks.MaxLinkName:
		t.addMistake("write its name, of up to 15 characters", "%q is too long for the name of an interface", t.val)
	}
	return t.val
}
