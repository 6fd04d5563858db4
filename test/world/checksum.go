package world

import (
	"encoding/binary"
	"net/netip"
)

// checksum returns the Internet checksum of some bytes and a sum of others.
func checksum(sum uint32, b []byte) uint16 {
	sum = onesComplementSum(sum, b)
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func onesComplementSum(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// pseudoHeader returns the sum of what TCP, UDP and ICMPv6 include in their checksum beside themselves.
func pseudoHeader(src, dst netip.Addr, proto, length int) uint32 {
	sum := onesComplementSum(uint32(proto)+uint32(length), src.AsSlice())
	return onesComplementSum(sum, dst.AsSlice())
}
