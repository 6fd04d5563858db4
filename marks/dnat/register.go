package dnat

import (
	"bytes"
	"encoding/binary"
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// register is a byte of the registers of a rule. Bits of a property that the request does not have are unknown.
type register struct{ value, known byte }

// registerBytes is the size of the 16 data registers of 32 bits.
const registerBytes = 64

// knownBytes returns registers of this content.
func knownBytes(b ...byte) []register {
	all := make([]register, len(b))
	for i := range b {
		all[i] = register{b[i], 0xff}
	}
	return all
}

// native32 returns a number of 32 bits as the kernel keeps it in a register.
func native32(n uint32) []register { return knownBytes(binary.NativeEndian.AppendUint32(nil, n)...) }

// big16 returns a number of 16 bits in network order.
func big16(n uint16) []register { return knownBytes(binary.BigEndian.AppendUint16(nil, n)...) }

// bytesOf returns the content of registers, and whether all of it is known.
func bytesOf(field []register) (b []byte, known bool) {
	known = true
	for _, r := range field {
		b = append(b, r.value)
		known = known && r.known == 0xff
	}
	return b, known
}

// equalTo compares the content with a value.
func equalTo(field []register, value []byte) match {
	if len(field) < len(value) {
		return maybe
	}
	result := yes
	for i, v := range value {
		switch r := field[i]; {
		case (r.value^v)&r.known != 0:
			return no
		case r.known != 0xff:
			result = maybe
		}
	}
	return result
}

// compare compares the content with a value by their order.
func compare(field []register, value []byte, holds func(int) bool) match {
	if len(field) < len(value) {
		return maybe
	}
	b, known := bytesOf(field[:len(value)])
	if !known {
		return maybe
	}
	return matchOf(holds(bytes.Compare(b, value)))
}

// registerOffset returns the first byte of the register that an attribute names: a 128-bit register NFT_REG_1 to NFT_REG_4
// covers four of 32 bits. ok is false without the attribute.
func registerOffset(data []byte, attribute uint16) (offset int, ok bool) {
	switch n := int(netfilter.FindUint32(data, attribute)); {
	case n >= unix.NFT_REG_1 && n <= unix.NFT_REG_4:
		return (n - unix.NFT_REG_1) * 16, true
	case n >= unix.NFT_REG32_00 && n < unix.NFT_REG32_00+registerBytes/4:
		return (n - unix.NFT_REG32_00) * 4, true
	}
	return 0, false
}

// swapBytes reverses the bytes of each number of size bytes.
func swapBytes(field []register, size int) {
	for i := 0; size > 0 && i+size <= len(field); i += size {
		slices.Reverse(field[i : i+size])
	}
}

// littleEndian reports whether native order is not network order.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
