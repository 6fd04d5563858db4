package dnat

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// parseCondition returns the condition that an option of iptables states. One that is not understood may or may not hold.
func parseCondition(option, value string, ipv6 bool) condition {
	switch option {
	case "-i":
		return linkCondition(value)
	case "-p":
		return protocolCondition(value)
	case "-d":
		return prefixCondition(value, ipv6, func(q *Request) netip.Addr { return q.To })
	case "-s":
		return prefixCondition(value, ipv6, func(q *Request) netip.Addr { return q.From })
	case "--dport", "--dports":
		return portCondition(value, no)
	case "--ports": // the source port or the destination port
		return portCondition(value, maybe)
	case "--dst-type":
		return constant(slices.Contains(strings.Split(value, ","), "LOCAL"))
	case "--ctstate", "--state":
		return constant(slices.Contains(strings.Split(value, ","), "NEW"))
	}
	return unknown
}

func unknown(*Request) match { return maybe }

func constant(is bool) condition {
	return func(*Request) match { return matchOf(is) }
}

// linkCondition compares the ingress. A name that ends with "+" is a prefix.
func linkCondition(name string) condition {
	prefix, isPrefix := strings.CutSuffix(name, "+")
	return func(q *Request) match {
		return matchOf(q.Link == name || isPrefix && strings.HasPrefix(q.Link, prefix))
	}
}

// protocols are the protocols of the transport layer by their names.
var protocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "udplite": unix.IPPROTO_UDPLITE, "icmp": unix.IPPROTO_ICMP,
	"ipv6-icmp": unix.IPPROTO_ICMPV6, "sctp": unix.IPPROTO_SCTP, "dccp": unix.IPPROTO_DCCP}

func protocolCondition(name string) condition {
	if name == "all" {
		return constant(true)
	}
	proto, known := protocols[name]
	if n, err := strconv.ParseUint(name, 10, 8); err == nil {
		proto, known = uint8(n), true
	}
	if !known {
		return unknown
	}
	return func(q *Request) match { return matchOf(q.Proto == proto) }
}

// prefixCondition compares an address with a prefix.
func prefixCondition(text string, ipv6 bool, field func(*Request) netip.Addr) condition {
	p, err := netip.ParsePrefix(text)
	if a, errAddr := netip.ParseAddr(text); errAddr == nil {
		p, err = a.Prefix(a.BitLen())
	}
	if err != nil || p.Addr().Is6() != ipv6 {
		return unknown
	}
	return func(q *Request) match {
		if a := field(q); a.IsValid() {
			return matchOf(p.Contains(a))
		}
		if p.Bits() == 0 {
			return yes
		}
		return maybe
	}
}

// portCondition compares the destination port with ports and ranges, separated by commas. The result for other ports is
// otherwise.
func portCondition(list string, otherwise match) condition {
	var ranges [][2]uint16
	for text := range strings.SplitSeq(list, ",") {
		low, high, ok := portRange(text, ":")
		if !ok {
			return unknown
		}
		ranges = append(ranges, [2]uint16{low, high})
	}
	return func(q *Request) match {
		if slices.ContainsFunc(ranges, func(r [2]uint16) bool { return r[0] <= q.Port && q.Port <= r[1] }) {
			return yes
		}
		return otherwise
	}
}

// portRange reads a port or a range of ports, whose bounds may be missing.
func portRange(text, separator string) (low, high uint16, ok bool) {
	lowText, highText, isRange := strings.Cut(text, separator)
	l, errLow := strconv.ParseUint(lowText, 10, 16)
	h, errHigh := l, errLow
	if isRange {
		h, errHigh = strconv.ParseUint(highText, 10, 16)
		if highText == "" {
			h, errHigh = 65535, nil
		}
		if lowText == "" {
			l, errLow = 0, nil
		}
	}
	return uint16(l), uint16(h), errLow == nil && errHigh == nil && l <= h
}
