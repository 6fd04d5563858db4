package config

import (
	"fmt"
	"strconv"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// protocols are the names of protocols that a rule can select by.
var protocols = map[string]uint8{"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132, "udplite": 136}

// textAt returns the value at the key as text: a string, or an integer.
func (t table) textAt(key string) (v value, text string, ok bool) {
	v, ok = t.valueAt(key)
	if !ok {
		return v, "", false
	}
	switch raw := v.raw.(type) {
	case string:
		return v, raw, true
	case int64:
		return v, fmt.Sprint(raw), true
	}
	v.addTypeMistake("a string or a number", steeringKeys.example(key))
	return v, "", false
}

// protocolAt returns the number of the protocol at the key; 0 if there is none.
func (t table) protocolAt(key string) uint8 {
	v, text, ok := t.textAt(key)
	if !ok {
		return 0
	}
	if n, known := protocols[strings.ToLower(text)]; known {
		return n
	}
	n, err := strconv.ParseUint(text, 0, 8)
	if err != nil || n == 0 {
		v.addMistake(`use "tcp", "udp", "icmp", "ipv6-icmp", "sctp", "gre", "esp", or a number from 1 to 255`, "%s %q is no protocol", key, text)
	}
	return uint8(n)
}

// portRangeAt returns the port or the range of ports at the key.
func (t table) portRangeAt(key string) uplinks.PortRange {
	first, last, ok := t.rangeAt(key, 65534)
	if ok && first == 0 {
		v, _ := t.valueAt(key)
		v.addMistake("use ports from 1 to 65534", "%s has the port 0", key)
	}
	return uplinks.PortRange{First: uint16(first), Last: uint16(last)}
}

// rangeAt returns the number, or the range as FIRST-LAST, at the key. ok is false if there is none, or it is a mistake.
func (t table) rangeAt(key string, most uint64) (first, last uint64, ok bool) {
	v, text, ok := t.textAt(key)
	if !ok {
		return 0, 0, false
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, err := strconv.ParseUint(strings.TrimSpace(low), 0, 64)
	last, err2 := strconv.ParseUint(strings.TrimSpace(high), 0, 64)
	switch {
	case err != nil || err2 != nil || last > most:
		v.addMistake(fmt.Sprintf("write a number from 0 to %d, or a range such as %q", most, "10-19"), "%s %q is no number or range", key, text)
	case first > last:
		v.addMistake(fmt.Sprintf("write it as %d-%d", last, first), "%s %q ends before it begins", key, text)
	default:
		return first, last, true
	}
	return 0, 0, false
}

// tosAt returns the type of service at the keys "tos" and "dsfield", which are the same selector.
func (t table) tosAt() uint8 {
	var tos uint64
	given := ""
	for _, key := range []string{"tos", "dsfield"} {
		v, text, ok := t.textAt(key)
		if !ok {
			continue
		}
		if given != "" {
			v.addMistake("remove one of them", "%s is the same selector as %s", key, given)
		}
		given = key
		n, err := strconv.ParseUint(text, 0, 8)
		if err != nil || n == 0 || n&3 != 0 {
			v.addMistake("use a number from 0x4 to 0xfc whose two lowest bits, those of ECN, are 0", "%s %q is no type of service", key, text)
			continue
		}
		tos = n
	}
	return uint8(tos)
}

// markAt returns the mark at the key, as MARK or MARK/MASK.
func (t table) markAt(key string) (marks.Mark, marks.Mask) {
	v, text, ok := t.textAt(key)
	if !ok {
		return 0, 0
	}
	m, err := marks.ParseMarkMatch(text)
	switch {
	case err != nil || m.Mask == 0:
		v.addMistake(`write it as MARK or MARK/MASK, such as "0x1/0xff"`, "%s %q is no mark", key, text)
		return 0, 0
	case uint32(m.Mark)&^uint32(m.Mask) != 0:
		v.addMistake(fmt.Sprintf("write it as %s/%s", m.Mark&marks.Mark(m.Mask), m.Mask), "%s %q has bits that its mask does not have", key, text)
	}
	return m.Mark, m.Mask
}
