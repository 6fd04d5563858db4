package marks

import (
	"net/netip"
	"strconv"
	"strings"
)

// addPrefix adds an option whose argument is a network, as iptables prints it: without the length of a single address.
// The options -s and -d always have it.
func (w *ruleLine) addPrefix(option string, p netip.Prefix) {
	switch {
	case !p.IsValid():
	case p.IsSingleIP() && option != "-s " && option != "-d ":
		w.add(option, p.Addr().String())
	default:
		w.add(option, p.String())
	}
}

// addPacketMatch adds the options of the match but -s, -d and those of -m conntrack.
func (w *ruleLine) addPacketMatch(m PacketMatch) {
	if m.Proto != "" {
		w.add("-p ", m.Proto)
	}
	if !m.Ports.IsEmpty() {
		var ports []string
		for _, r := range m.Ports.Values() {
			ports = append(ports, r.String())
		}
		w.add("-m multiport --dports ", strings.Join(ports, ","))
	}
	if m.SrcType != (AddrType{}) || m.DstType != (AddrType{}) {
		w.add("-m addrtype")
	}
	w.addAddrType("--src-type ", m.SrcType)
	w.addAddrType("--dst-type ", m.DstType)
}

func (w *ruleLine) addAddrType(option string, t AddrType) {
	switch {
	case t.Not:
		w.add("! ", option, t.Type)
	case t.Type != "":
		w.add(option, t.Type)
	}
}

// packetOption parses an option of a PacketMatch and reports whether it is one.
func (p *parser) packetOption(word string, not bool, m *PacketMatch) bool {
	switch word {
	case "--ctstate":
		m.State, m.NotState = p.oneOf("NEW", "RELATED", "DNAT"), not
	case "--src-type":
		m.SrcType = AddrType{not, p.oneOf("LOCAL", "MULTICAST", "BROADCAST")}
	case "--dst-type":
		m.DstType = AddrType{not, p.oneOf("LOCAL", "MULTICAST", "BROADCAST")}
	case "-s", "-d", "-p", "--dports":
		if not {
			p.fail("! %s is not supported", word)
			return true
		}
		p.headerOption(word, m)
	default:
		return false
	}
	return true
}

// headerOption parses an option that is never inverted.
func (p *parser) headerOption(word string, m *PacketMatch) {
	switch word {
	case "-s":
		if m.SrcBit = parseSourceBit(p.peek()); m.SrcBit != 0 {
			p.next()
			return
		}
		m.Src = p.prefix()
	case "-d":
		m.Dst = p.prefix()
	case "-p":
		m.Proto = p.oneOf("tcp", "udp", "icmp", "ipv6-icmp")
	default:
		m.Ports = p.ports()
	}
}

// ports parses the argument of --dports.
func (p *parser) ports() List[PortRange] {
	var all []PortRange
	word := p.next()
	for text := range strings.SplitSeq(word, ",") {
		r, ok := parsePortRange(text)
		if !ok {
			p.fail("--dports %s is not supported", word)
			return List[PortRange]{}
		}
		all = append(all, r)
	}
	return NewList(all...)
}

// parsePortRange parses one range as iptables prints it.
func parsePortRange(text string) (r PortRange, ok bool) {
	first, last, isRange := strings.Cut(text, ":")
	if !isRange {
		last = first
	}
	from, err := strconv.ParseUint(first, 10, 16)
	to, failed := strconv.ParseUint(last, 10, 16)
	r = PortRange{uint16(from), uint16(to)}
	return r, err == nil && failed == nil && from <= to && r.String() == text
}

// oneOf returns the next word, which must be one of the given.
func (p *parser) oneOf(known ...string) string {
	word := p.next()
	for _, k := range known {
		if word == k {
			return word
		}
	}
	p.fail("%q is not supported", word)
	return ""
}

// tproxy parses the options of the target TPROXY.
func (p *parser) tproxy() Action {
	a := Action{Kind: TProxy}
	var port, address string
	for len(p.words) > 0 {
		switch option := p.next(); option {
		case "--on-port":
			port = p.next()
		case "--on-ip":
			address = p.next()
		case "--tproxy-mark":
			m := p.mark(false)
			a.Mark, a.Mask = m.Mark, m.Mask
		default:
			p.fail("TPROXY %s is not supported", option)
			return Action{}
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	at, failed := netip.ParseAddr(address)
	if err != nil || failed != nil {
		p.fail("TPROXY to port %q of %q is not supported", port, address)
		return Action{}
	}
	a.Proxy = netip.AddrPortFrom(at, uint16(number))
	return a
}

// String formats the range as iptables(8) does.
func (r PortRange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(int(r.First))
	}
	return strconv.Itoa(int(r.First)) + ":" + strconv.Itoa(int(r.Last))
}
