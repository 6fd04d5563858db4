package marks

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParsePortRange parses one range of PacketMatch.Ports.
func ParsePortRange(text string) (r PortRange, ok bool) {
	first, last, isRange := strings.Cut(text, ":")
	if !isRange {
		last = first
	}
	from, err := strconv.ParseUint(first, 10, 16)
	to, failed := strconv.ParseUint(last, 10, 16)
	r = PortRange{uint16(from), uint16(to)}
	return r, err == nil && failed == nil && from <= to && r.String() == text
}

// hasNFT reports whether the backend Nftables has the match: no bit of an address, and one range of ports of a known protocol.
func (m PacketMatch) hasNFT() bool {
	if m.SrcBit != 0 {
		return false
	}
	if m.Ports == "" {
		return true
	}
	_, ok := ParsePortRange(m.Ports)
	return ok && (m.Proto == "tcp" || m.Proto == "udp")
}

// addNFTState adds the state of the packet's connection.
func (m PacketMatch) addNFTState(w *ruleLine) {
	switch {
	case m.State == "":
	case m.State == "DNAT":
		w.add("ct status dnat")
	case m.NotState:
		w.add("ct state != ", strings.ToLower(m.State))
	default:
		w.add("ct state ", strings.ToLower(m.State))
	}
}

// addNFT adds what the headers of the packet have.
func (m PacketMatch) addNFT(w *ruleLine, ipv6 bool) {
	if m.Src.IsValid() {
		w.add(NFTFamily(ipv6), " saddr ", nftPrefixText(m.Src))
	}
	if m.Dst.IsValid() {
		w.add(NFTFamily(ipv6), " daddr ", nftPrefixText(m.Dst))
	}
	ports, _ := ParsePortRange(m.Ports)
	switch {
	case m.Proto == "":
	case m.Ports == "":
		w.add("meta l4proto ", m.Proto)
	default:
		w.add(m.Proto, " dport ", strings.Replace(ports.String(), ":", "-", 1))
	}
	m.SrcType.addNFT(w, "saddr")
	m.DstType.addNFT(w, "daddr")
}

func (t AddrType) addNFT(w *ruleLine, address string) {
	if t == (AddrType{}) {
		return
	}
	not := ""
	if t.Not {
		not = "!= "
	}
	w.add("fib ", address, " type ", not, strings.ToLower(t.Type))
}

// nft formats the match. nftables has the same hash of IPv4 addresses as the match of iptables.
func (c Cluster) nft(ipv6 bool) string {
	return fmt.Sprintf("jhash ct original %s saddr mod %d seed %#x == %d", NFTFamily(ipv6), c.Total, c.Seed, c.Node)
}

// nftProxy formats the socket of a TProxy. Without an address it is the first one of the ingress link, or any.
func (a Action) nftProxy() string {
	if a.Proxy.Addr().IsUnspecified() {
		return ":" + strconv.Itoa(int(a.Proxy.Port()))
	}
	return netip.AddrPortFrom(a.Proxy.Addr(), a.Proxy.Port()).String()
}
