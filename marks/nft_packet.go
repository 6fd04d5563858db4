package marks

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// hasNFT reports whether the backend Nftables has the match: no bit of an address, and one range of ports of a known protocol.
func (m PacketMatch) hasNFT() bool {
	if m.SrcBit != 0 {
		return false
	}
	ports := m.Ports.Values()
	return len(ports) == 0 || len(ports) == 1 && (m.Proto == "tcp" || m.Proto == "udp")
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
	if m.Proto != "" && m.Ports.IsEmpty() {
		w.add("meta l4proto ", m.Proto)
	}
	for _, r := range m.Ports.Values() { // hasNFT: one
		w.add(m.Proto, " dport ", strings.Replace(r.String(), ":", "-", 1))
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
