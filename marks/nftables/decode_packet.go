package nftables

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// fieldKey returns the key of a source that is a field of a header (NFT_PAYLOAD_*).
func fieldKey(base, offset uint32) uint32 { return base<<16 | offset }

// macSize is the size of a hardware address of Ethernet.
const macSize = 6

// loadField decodes the load of a field. Of an address only the first bytes may be loaded: those of a network.
func (d *decoder) loadField(data []byte) bool {
	base, offset := netfilter.FindUint32(data, unix.NFTA_PAYLOAD_BASE), netfilter.FindUint32(data, unix.NFTA_PAYLOAD_OFFSET)
	length := netfilter.FindUint32(data, unix.NFTA_PAYLOAD_LEN)
	register := netfilter.FindUint32(data, unix.NFTA_PAYLOAD_DREG)
	if register == 0 || d.held.source != (source{}) {
		return false
	}
	field := source{"payload", fieldKey(base, offset)}
	d.held = held{source: field, register: register}
	switch field {
	case etherSaddr:
		return length == macSize
	case portField:
		return length == 2
	}
	_, longest := addressField(d.ipv6, false)
	return (field == d.address(false) || field == d.address(true)) && length <= longest
}

// address returns the source or destination address of the packet.
func (d *decoder) address(destination bool) source {
	offset, _ := addressField(d.ipv6, destination)
	return source{"payload", fieldKey(unix.NFT_PAYLOAD_NETWORK_HEADER, offset)}
}

// addressType returns the type of an address of the packet (nftnl.FibType).
func addressType(address uint32) source { return source{"fib", address} }

// loadAddrType decodes the load of the type of an address.
func (d *decoder) loadAddrType(data []byte) bool {
	address, register := netfilter.FindUint32(data, unix.NFTA_FIB_FLAGS), netfilter.FindUint32(data, unix.NFTA_FIB_DREG)
	if register == 0 || d.held.source != (source{}) || netfilter.FindUint32(data, unix.NFTA_FIB_RESULT) != unix.NFT_FIB_RESULT_ADDRTYPE {
		return false
	}
	d.held = held{source: addressType(address), register: register}
	return true
}

// hash decodes the hash of the address from which a connection was begun.
func (d *decoder) hash(data []byte) bool {
	_, length := addressField(d.ipv6, false)
	number := func(kind uint16) uint32 { return netfilter.FindUint32(data, kind) }
	h := d.held
	if h.source != (source{"ct", originalSource(d.ipv6)}) || h.mask != nil || number(unix.NFTA_HASH_SREG) != h.register || number(unix.NFTA_HASH_DREG) == 0 ||
		number(unix.NFTA_HASH_TYPE) != unix.NFT_HASH_JENKINS || number(unix.NFTA_HASH_LEN) != length || number(unix.NFTA_HASH_OFFSET) != 0 {
		return false
	}
	d.held = held{source: senderHash, register: number(unix.NFTA_HASH_DREG)}
	d.rule.Cluster = marks.Cluster{Total: number(unix.NFTA_HASH_MODULUS), Seed: number(unix.NFTA_HASH_SEED)}
	return true
}

// comparePacket decodes the comparison of a field, of the type of an address, or of a hash.
func (d *decoder) comparePacket(h held, value nlattr.Value, equal bool) bool {
	switch h.source {
	case etherSaddr:
		d.rule.MAC = net.HardwareAddr(value).String()
		return equal && h.mask == nil && len(value) == macSize && d.seen[metaIiftype]
	case d.address(false):
		return equal && d.compareNetwork(&d.rule.Packet.Src, h.mask, value)
	case d.address(true):
		return equal && d.compareNetwork(&d.rule.Packet.Dst, h.mask, value)
	case addressType(nftnl.FibSource):
		return h.mask == nil && compareAddrType(&d.rule.Packet.SrcType, value, equal)
	case addressType(nftnl.FibDestination):
		return h.mask == nil && compareAddrType(&d.rule.Packet.DstType, value, equal)
	case senderHash:
		d.rule.Cluster.Node = value.Uint32()
		return h.mask == nil && equal && len(value) == 4
	}
	return false
}

// compareNetwork decodes the comparison with a network: under a mask, or of its first bytes alone.
func (d *decoder) compareNetwork(network *netip.Prefix, mask []byte, value []byte) bool {
	size := map[bool]int{false: 4, true: 16}[d.ipv6]
	bits := 8 * len(value)
	if mask != nil {
		bits = prefixLength(mask)
	}
	if len(value) > size || mask != nil && (len(mask) != size || len(value) != size) {
		return false
	}
	a, ok := netip.AddrFromSlice(append(bytes.Clone(value), make([]byte, size-len(value))...))
	*network = netip.PrefixFrom(a, bits)
	return ok && bits > 0 && *network == network.Masked()
}

// prefixLength returns the number of bits of a mask; 0: it is not that of a network.
func prefixLength(mask []byte) (bits int) {
	for i := range 8 * len(mask) {
		set := mask[i/8]&(0x80>>(i%8)) != 0
		if set && bits != i {
			return 0
		}
		if set {
			bits++
		}
	}
	return bits
}

func compareAddrType(t *marks.AddrType, value nlattr.Value, equal bool) bool {
	if len(value) != 4 {
		return false
	}
	t.Not, t.Type = !equal, nameOf(addressTypes, value.Uint32())
	return t.Type != ""
}

// nameOf returns the key of a value, or "".
func nameOf[V comparable](names map[string]V, value V) string {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] == value {
			return name
		}
	}
	return ""
}

// compareProto decodes the comparison of the transport protocol.
func (d *decoder) compareProto(value []byte) bool {
	if len(value) == 1 {
		d.rule.Packet.Proto = nameOf(transports, value[0])
	}
	return d.rule.Packet.Proto != ""
}

// comparePort decodes the comparison of the destination port with a number, or with the first and then the last one of a
// range. Only TCP and UDP have ports there.
func (d *decoder) comparePort(h held, operation uint32, value []byte) bool {
	if len(value) != 2 || d.rule.Packet.Proto != "tcp" && d.rule.Packet.Proto != "udp" {
		return false
	}
	port, before := binary.BigEndian.Uint16(value), d.rule.Packet.Ports.Values()
	r := marks.PortRange{First: port, Last: port}
	switch {
	case operation == unix.NFT_CMP_EQ && len(before) == 0:
	case operation == unix.NFT_CMP_GTE && len(before) == 0:
		d.held = h
	case operation == unix.NFT_CMP_LTE && len(before) == 1 && before[0].First == before[0].Last && before[0].First < port:
		r.First = before[0].First
	default:
		return false
	}
	d.rule.Packet.Ports = marks.NewList(r)
	return true
}

// compareStatus decodes the comparison of a bit of a connection's status with 0.
func (d *decoder) compareStatus(bit uint32, equal bool) bool {
	switch {
	case bit == marks.ConnAssured:
		d.rule.NotAssured, d.rule.Assured = equal, !equal
		return true
	case bit == destinationNAT && !equal:
		d.rule.Packet.State = "DNAT"
		return true
	}
	return false
}

// compareState decodes the comparison of a connection's state: of one bit with 0, or that it is not a state.
func (d *decoder) compareState(mask []byte, value uint32, equal bool) bool {
	if equal || d.rule.Packet.State != "" || mask != nil && (value != 0 || len(mask) != 4) {
		return false
	}
	d.rule.Packet.NotState = mask == nil
	if mask != nil {
		value = nlattr.Value(mask).Uint32()
	}
	d.rule.Packet.State = nameOf(states, value)
	return d.rule.Packet.State != ""
}

// tproxy decodes the expression that gives the packet to the socket whose port and address were loaded.
func (d *decoder) tproxy(data []byte) bool {
	port := d.loaded[netfilter.FindUint32(data, nftnl.TProxyPort)]
	addr := netip.IPv4Unspecified()
	if d.ipv6 {
		addr = netip.IPv6Unspecified()
	}
	ok := len(port) == 2 && netfilter.FindUint32(data, nftnl.TProxyFamily) == uint32(nftnl.FamilyNumber(d.ipv6))
	if register := netfilter.FindUint32(data, nftnl.TProxyAddress); register != 0 && ok {
		size := addr.BitLen() / 8
		addr, ok = netip.AddrFromSlice(bytes.Clone(d.loaded[register]))
		ok = ok && addr.BitLen() == 8*size && !addr.IsUnspecified()
	}
	if !ok || d.held.source != (source{}) && d.held.source != constant || len(d.writes) > 0 || d.proxied || d.counter != "" {
		return false
	}
	d.held, d.proxied = held{}, true
	d.rule.Action.Proxy = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port))
	return true
}

// loadRoute decodes a load of metadata of the packet's route (enum nft_rt_attributes).
func (d *decoder) loadRoute(data []byte) bool {
	if d.held.source != (source{}) {
		return false
	}
	d.held = held{source: source{"rt", netfilter.FindUint32(data, unix.NFTA_RT_KEY)}, register: netfilter.FindUint32(data, unix.NFTA_RT_DREG)}
	return true
}
