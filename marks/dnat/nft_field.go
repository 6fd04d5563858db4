package dnat

import (
	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// The bit of a new connection in ct state (NF_CT_STATE_BIT), and RTN_LOCAL as the result of fib.
const (
	stateNew = 1 << 3
	rtnLocal = 2
)

// meta returns a property of the request and its ingress, nil if it is unknown.
func (m *machine) meta(key uint32) []register {
	switch key {
	case unix.NFT_META_IIFNAME:
		name := make([]byte, unix.IFNAMSIZ)
		copy(name, m.Link)
		return knownBytes(name...)
	case unix.NFT_META_IIF:
		if m.LinkID != 0 {
			return native32(uint32(m.LinkID))
		}
	case unix.NFT_META_L4PROTO:
		return knownBytes(m.Proto)
	case unix.NFT_META_NFPROTO:
		if m.To.Is4() {
			return knownBytes(unix.NFPROTO_IPV4)
		}
		return knownBytes(unix.NFPROTO_IPV6)
	case unix.NFT_META_PROTOCOL:
		if m.To.Is4() {
			return big16(unix.ETH_P_IP)
		}
		return big16(unix.ETH_P_IPV6)
	case unix.NFT_META_PKTTYPE:
		return knownBytes(unix.PACKET_HOST)
	case unix.NFT_META_MARK, unix.NFT_META_IIFGROUP, unix.NFT_META_PRIORITY, unix.NFT_META_LEN, unix.NFT_META_PRANDOM, unix.NFT_META_CPU:
		return make([]register, 4)
	case unix.NFT_META_IIFTYPE:
		return make([]register, 2)
	}
	return nil
}

// ctField returns a property of a new connection, nil if it is unknown.
func ctField(key uint32) []register {
	switch key {
	case unix.NFT_CT_STATE:
		return native32(stateNew)
	case unix.NFT_CT_DIRECTION:
		return knownBytes(0)
	}
	return nil
}

// fibResult returns what fib finds for the request: its destination is an address of the host.
func fibResult(data []byte) []register {
	flags := netfilter.FindUint32(data, unix.NFTA_FIB_FLAGS)
	if netfilter.FindUint32(data, unix.NFTA_FIB_RESULT) == unix.NFT_FIB_RESULT_ADDRTYPE && flags&unix.NFTA_FIB_F_DADDR != 0 && flags&unix.NFTA_FIB_F_OIF == 0 {
		return native32(rtnLocal)
	}
	return nil
}

// loadPayload loads bytes of a header.
func (m *machine) loadPayload(data []byte) {
	offset, length := int(netfilter.FindUint32(data, unix.NFTA_PAYLOAD_OFFSET)), int(netfilter.FindUint32(data, unix.NFTA_PAYLOAD_LEN))
	if length > registerBytes {
		length = registerBytes
	}
	content := make([]register, length)
	header := []register(nil)
	switch netfilter.FindUint32(data, unix.NFTA_PAYLOAD_BASE) {
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		header = m.networkHeader()
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		header = append(make([]register, 2), big16(m.Port)...)
	}
	if offset < len(header) {
		copy(content, header[offset:])
	}
	m.load(data, unix.NFTA_PAYLOAD_DREG, content)
}

// networkHeader returns the network header of the request, as far as it is known.
func (m *machine) networkHeader() []register {
	protocol, source, destination, size := 9, 12, 16, 20
	if m.To.Is6() {
		protocol, source, destination, size = 6, 8, 24, 40
	}
	h := make([]register, size)
	h[protocol] = register{m.Proto, 0xff}
	copy(h[source:destination], knownBytes(m.From.AsSlice()...))
	copy(h[destination:], knownBytes(m.To.AsSlice()...))
	return h
}
