package dnat

import (
	"encoding/binary"
	"net/netip"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// rangeNetmap is NF_NAT_RANGE_NETMAP (linux/netfilter/nf_nat.h): the addresses are the first and the last of a network.
const rangeNetmap = 1 << 6

// nat evaluates dnat. In a table for both families it translates packets of its own family only.
func (m *machine) nat(data []byte) {
	family := map[bool]uint32{true: unix.NFPROTO_IPV4, false: unix.NFPROTO_IPV6}[m.To.Is4()]
	if netfilter.FindUint32(data, unix.NFTA_NAT_FAMILY) != family {
		m.ended, m.outcome = true, m.outcome|next
		return
	}
	if netfilter.FindUint32(data, unix.NFTA_NAT_TYPE) != unix.NFT_NAT_DNAT {
		m.end(anything)
		return
	}
	low, high, known := m.ports(data, unix.NFTA_NAT_REG_PROTO_MIN, unix.NFTA_NAT_REG_PROTO_MAX)
	first, firstKnown := m.address(data, unix.NFTA_NAT_REG_ADDR_MIN)
	last, lastKnown := m.address(data, unix.NFTA_NAT_REG_ADDR_MAX)
	if !last.IsValid() {
		last = first
	}
	if !firstKnown || !lastKnown {
		m.end(taken) // of several targets, such as those of a load balancer
		return
	}
	if netfilter.FindUint32(data, unix.NFTA_NAT_FLAGS)&rangeNetmap != 0 && first.IsValid() && first != last {
		first = mapInto(m.To, first, last)
		last = first
	}
	m.end(m.translateKnown(first, last, low, high, known))
}

// translateKnown returns the outcome of a translation, also for a port that is not known.
func (m *machine) translateKnown(first, last netip.Addr, low, high uint16, known bool) outcome {
	if !known {
		return m.translate(first, last, 1, 65535)
	}
	return m.translate(first, last, low, high)
}

// address returns the address in the register that an attribute names: the zero Addr without the attribute.
func (m *machine) address(data []byte, attribute uint16) (a netip.Addr, known bool) {
	field := m.field(data, attribute)
	if field == nil {
		return a, true
	}
	size := m.To.BitLen() / 8
	if len(field) < size {
		return a, false
	}
	b, known := bytesOf(field[:size])
	a, _ = netip.AddrFromSlice(b)
	return a, known
}

// ports returns the range of ports in the registers, 0 without them.
func (m *machine) ports(data []byte, lowAttribute, highAttribute uint16) (low, high uint16, known bool) {
	field := m.field(data, lowAttribute)
	if field == nil {
		return 0, 0, true
	}
	b, known := bytesOf(field[:2])
	low = binary.BigEndian.Uint16(b)
	high = low
	if field = m.field(data, highAttribute); field != nil {
		c, highKnown := bytesOf(field[:2])
		high, known = binary.BigEndian.Uint16(c), known && highKnown
	}
	return low, high, known
}

// mapInto returns the address with those bits of first that first and last have in common.
func mapInto(a, first, last netip.Addr) netip.Addr {
	b, f, l := a.AsSlice(), first.AsSlice(), last.AsSlice()
	for i := range b {
		host := f[i] ^ l[i]
		b[i] = f[i]&^host | b[i]&host
	}
	mapped, _ := netip.AddrFromSlice(b)
	return mapped
}
