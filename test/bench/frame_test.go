package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A checksum over what it covers, itself included, is nought.
func TestFramesHaveTheRightChecksums(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 1}
	g := &gateway{uplinks: 2}
	whole := pingRequest(g, 4, mac)
	if sum := checksum(whole[14:34]); sum != 0 {
		t.Errorf("IPv4 header: %#x", sum)
	}
	if sum := checksum(whole[34:42]); sum != 0 {
		t.Errorf("ICMP: %#x", sum)
	}
	six := newSourceRequest(g, 6, mac)
	length := int(six[14+4])<<8 | int(six[14+5])
	covered := append([]byte{}, six[14+8:14+40]...)
	covered = append(covered, 0, unix.IPPROTO_UDP, byte(length>>8), byte(length))
	for _, varied := range []byte{0, 1, 0x7f} { // what vary writes, and its inverse
		b := append(append([]byte{}, covered...), six[14+40:14+40+length]...)
		b[14], b[15], b[12], b[13] = varied, varied, ^varied, ^varied
		b[36], b[37], b[44], b[45] = varied, varied, ^varied, ^varied
		if sum := checksum(b); sum != 0 {
			t.Errorf("UDP over IPv6, varied by %#x: %#x", varied, sum)
		}
	}
	for _, f := range [][]byte{whole, six} {
		if len(f) < shortest || len(f)%wordBytes != 0 {
			t.Errorf("%d bytes", len(f))
		}
	}
}
