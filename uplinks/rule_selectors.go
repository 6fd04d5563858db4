package uplinks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// Attributes of a rule that replypath never writes and ip-rule(8) can express (linux/fib_rules.h, FRA_*).
const (
	attrTo       = 1
	attrOIF      = 17
	attrUIDRange = 20
	attrIPProto  = 22
	attrSport    = 23
	attrDport    = 24
)

// selectors returns the selectors in Other as arguments of ip-rule(8), so that a del command matches only this rule.
// Selectors that ip-rule(8) cannot express are left out.
func (r Rule) selectors() string {
	if len(r.Other) < 2 {
		return ""
	}
	var w strings.Builder
	if tos := r.Other[0]; tos != 0 {
		fmt.Fprintf(&w, " tos %#x", tos)
	}
	for rest := []byte(r.Other[2:]); len(rest) >= 4; {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < 4 || length > len(rest) {
			break
		}
		r.selector(&w, binary.NativeEndian.Uint16(rest[2:]), rest[4:length])
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return w.String()
}

// selector writes one attribute of Other.
func (r Rule) selector(w *strings.Builder, attr uint16, value []byte) {
	switch {
	case attr == attrTo:
		if to, ok := netip.AddrFromSlice(value); ok {
			fmt.Fprintf(w, " to %s", netip.PrefixFrom(to, int(r.Other[1])))
		}
	case attr == attrOIF:
		fmt.Fprintf(w, " oif %s", bytes.TrimRight(value, "\x00"))
	case attr == attrIPProto && len(value) == 1:
		fmt.Fprintf(w, " ipproto %d", value[0])
	case attr == attrUIDRange && len(value) == 8:
		fmt.Fprintf(w, " uidrange %d-%d", binary.NativeEndian.Uint32(value), binary.NativeEndian.Uint32(value[4:]))
	case (attr == attrSport || attr == attrDport) && len(value) == 4:
		fmt.Fprintf(w, " %s %d-%d", map[uint16]string{attrSport: "sport", attrDport: "dport"}[attr],
			binary.NativeEndian.Uint16(value), binary.NativeEndian.Uint16(value[2:]))
	}
}
