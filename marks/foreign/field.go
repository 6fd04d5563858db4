package foreign

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// fieldType is a field of a packet or of its metadata.
type fieldType struct {
	name string // as nft(8) writes it
	kind fieldKind
}

// fieldKind says how values of a field are written.
type fieldKind int

const (
	kindOther     fieldKind = iota
	kindDirection           // of a connection
	kindNumber              // in network order
	kindMark                // in native order
	kindLinkName            // of a link
	kindLinkIndex           // in native order
	kindNetwork             // a protocol of the network layer, NFPROTO_* or ETH_P_*
	kindTransport           // IPPROTO_*
	kindAddress
	kindHardware
)

var metaFields = map[uint32]fieldType{
	unix.NFT_META_LEN: {"meta length", kindMark}, unix.NFT_META_PROTOCOL: {"meta protocol", kindNetwork}, unix.NFT_META_PRIORITY: {"meta priority", kindMark},
	unix.NFT_META_MARK: {"meta mark", kindMark}, unix.NFT_META_IIF: {"iif", kindLinkIndex}, unix.NFT_META_OIF: {"oif", kindLinkIndex},
	unix.NFT_META_IIFNAME: {"iifname", kindLinkName}, unix.NFT_META_OIFNAME: {"oifname", kindLinkName}, unix.NFT_META_SKUID: {"meta skuid", kindMark},
	unix.NFT_META_SKGID: {"meta skgid", kindMark}, unix.NFT_META_NFTRACE: {"meta nftrace", kindNumber}, unix.NFT_META_NFPROTO: {"meta nfproto", kindNetwork},
	unix.NFT_META_L4PROTO: {"meta l4proto", kindTransport}, unix.NFT_META_IIFGROUP: {"iifgroup", kindMark}, unix.NFT_META_OIFGROUP: {"oifgroup", kindMark},
}

var ctFields = map[uint32]fieldType{
	unix.NFT_CT_STATE: {"ct state", kindMark}, unix.NFT_CT_DIRECTION: {"ct direction", kindDirection}, unix.NFT_CT_STATUS: {"ct status", kindMark}, unix.NFT_CT_MARK: {"ct mark", kindMark},
	unix.NFT_CT_L3PROTOCOL: {"ct l3proto", kindNetwork}, unix.NFT_CT_PROTOCOL: {"ct protocol", kindTransport}, unix.NFT_CT_ZONE: {"ct zone", kindMark},
}

// directionNames are the directions of a connection (enum ip_conntrack_dir).
var directionNames = map[uint64]string{0: "original", 1: "reply"}

// payloadField returns the field at an offset of a header. transport is the transport protocol of the packet, if it is known.
func payloadField(family uint8, transport string, base, offset, length uint32) fieldType {
	at := [2]uint32{base, offset}
	switch {
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER && (length > 4 || family == unix.NFPROTO_IPV6):
		if f, known := header6[offset]; known {
			return f
		}
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER:
		if f, known := header4[offset]; known {
			return f
		}
	case base == unix.NFT_PAYLOAD_LL_HEADER && length == 6 && offset <= 6:
		return fieldType{map[uint32]string{0: "ether daddr", 6: "ether saddr"}[offset], kindHardware}
	case at == [2]uint32{unix.NFT_PAYLOAD_LL_HEADER, 12}:
		return fieldType{"ether type", kindNetwork}
	case base == unix.NFT_PAYLOAD_TRANSPORT_HEADER && length == 2 && offset <= 2:
		if transport == "" {
			transport = "th"
		}
		return fieldType{transport + map[uint32]string{0: " sport", 2: " dport"}[offset], kindNumber}
	}
	return fieldType{fmt.Sprintf("@%s,%d,%d", [...]string{"ll", "nh", "th", "ih"}[base&3], 8*offset, 8*length), kindOther}
}

var (
	header4 = map[uint32]fieldType{1: {"ip dscp", kindNumber}, 8: {"ip ttl", kindNumber}, 9: {"ip protocol", kindTransport}, 12: {"ip saddr", kindAddress}, 16: {"ip daddr", kindAddress}}
	header6 = map[uint32]fieldType{6: {"ip6 nexthdr", kindTransport}, 7: {"ip6 hoplimit", kindNumber}, 8: {"ip6 saddr", kindAddress}, 24: {"ip6 daddr", kindAddress}}
)

var networkNames = map[uint64]string{unix.NFPROTO_IPV4: "ipv4", unix.NFPROTO_IPV6: "ipv6", unix.ETH_P_IP: "ip", unix.ETH_P_IPV6: "ip6", unix.ETH_P_ARP: "arp", unix.ETH_P_8021Q: "vlan"}

var transportNames = map[uint64]string{unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_ICMPV6: "ipv6-icmp", unix.IPPROTO_SCTP: "sctp", unix.IPPROTO_UDPLITE: "udplite"}

// text returns a value that the content of the register is compared with.
func (l loaded) text(value []byte, linkName func(int) string) string {
	number := func() (n uint64) {
		for _, b := range value {
			n = n<<8 | uint64(b)
		}
		return n
	}
	named := func(names map[uint64]string) string {
		if name, known := names[number()]; known {
			return name
		}
		return fmt.Sprint(number())
	}
	switch l.field.kind {
	case kindLinkName:
		if name := unix.ByteSliceToString(value); len(name) < len(value) {
			return fmt.Sprintf("%q", name)
		}
		return fmt.Sprintf("%q", string(value)+"*")
	case kindLinkIndex:
		if len(value) == 4 {
			return fmt.Sprintf("%q", linkName(int(binary.NativeEndian.Uint32(value))))
		}
	case kindMark:
		if len(value) == 4 {
			return l.maskText() + fmt.Sprintf("%#x", binary.NativeEndian.Uint32(value))
		}
	case kindNetwork:
		return named(networkNames)
	case kindTransport:
		return named(transportNames)
	case kindAddress:
		return l.addressText(value)
	case kindHardware:
		return net.HardwareAddr(value).String()
	case kindDirection:
		return named(directionNames)
	case kindNumber:
		return fmt.Sprint(number())
	}
	return fmt.Sprintf("%#x", number())
}

// maskText returns the mask of a mark, or "".
func (l loaded) maskText() string {
	if len(l.mask) != 4 {
		return ""
	}
	return fmt.Sprintf("& %#x ", binary.NativeEndian.Uint32(l.mask))
}

// addressText returns an address, or a prefix: nft(8) compares only the bytes of a prefix, or masks its bits.
func (l loaded) addressText(value []byte) string {
	size := 4
	if strings.HasPrefix(l.field.name, "ip6") {
		size = 16
	}
	length := 8 * len(value)
	if len(l.mask) == len(value) {
		length = 0
		for _, b := range l.mask {
			length += bits.OnesCount8(b)
		}
	}
	full := make([]byte, size)
	copy(full, value)
	a, _ := netip.AddrFromSlice(full)
	if length >= 8*size {
		return a.String()
	}
	return fmt.Sprintf("%s/%d", a, length)
}
