package firsthop

import (
	"net/netip"
	"testing"
)

var (
	localMAC   = []byte{2, 0, 0, 0, 0, 1}
	gatewayMAC = []byte{2, 0, 0, 0, 0, 2}
	source     = netip.MustParseAddr("192.0.2.2")
	router4    = netip.MustParseAddr("192.0.2.1")
	router6    = netip.MustParseAddr("2001:db8::12:3456")
)

// arpReplyOf returns the router's ARP reply.
func arpReplyOf() []byte {
	b := appendARPRequest(nil, source, router4, gatewayMAC)
	b[7] = arpReply
	copy(b[18:], localMAC)
	return b
}

func TestOnlyTheTargetsReplyToThisHostCounts(t *testing.T) {
	if !isARPReply(append(arpReplyOf(), make([]byte, 18)...), router4, source, localMAC) {
		t.Error("a reply with Ethernet padding is rejected")
	}
	for i := range arpLength {
		if i >= 8 && i < 14 {
			continue // the hardware address asked for
		}
		b := arpReplyOf()
		b[i] ^= 1
		if isARPReply(b, router4, source, localMAC) {
			t.Errorf("accepted although octet %d is wrong: %x", i, b)
		}
		if isARPReply(b[:i], router4, source, localMAC) {
			t.Errorf("accepted although it is truncated to %d octets", i)
		}
	}
	if isARPReply(appendARPRequest(nil, router4, source, localMAC), router4, source, localMAC) {
		t.Error("a request is accepted as a reply")
	}
}

func TestOnlyAdvertisementsOfTheTargetCount(t *testing.T) {
	b := appendSolicitation(nil, solicitedNodeGroup(router6), router6, router6, nil)[40:]
	if _, ok := advertisedAddr(b); ok {
		t.Error("a request is accepted as a reply")
	}
	b[0] = typeAdvertisement
	if a, ok := advertisedAddr(b); !ok || a != router6 {
		t.Errorf("the advertisement of %s is read as one of %v", router6, a)
	}
	for i := 8; i < len(b); i++ {
		b[i] ^= 1
		if a, _ := advertisedAddr(b); a == router6 {
			t.Errorf("the advertisement of another target is accepted: %x", b)
		}
		if _, ok := advertisedAddr(b[:i]); ok {
			t.Errorf("accepted although it is truncated to %d octets", i)
		}
		b[i] ^= 1
	}
}

func TestSolicitedNodeMulticastAddress(t *testing.T) {
	if got, want := solicitedNodeGroup(router6), netip.MustParseAddr("ff02::1:ff12:3456"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
