package firsthop

import (
	"net/netip"
	"testing"
)

var (
	ours    = []byte{2, 0, 0, 0, 0, 1}
	theirs  = []byte{2, 0, 0, 0, 0, 2}
	source  = netip.MustParseAddr("192.0.2.2")
	router4 = netip.MustParseAddr("192.0.2.1")
	router6 = netip.MustParseAddr("2001:db8::12:3456")
)

// reply is how the router answers ARP.
func reply() []byte {
	b := whoHas(source, router4, theirs)
	b[7] = arpReply
	copy(b[18:], ours)
	return b
}

func TestOnlyTheTargetsAnswerToUsIsOne(t *testing.T) {
	if !isAt(append(reply(), make([]byte, 18)...), router4, source, ours) {
		t.Error("the answer, padded as Ethernet does, is not taken")
	}
	for i := range arpLength {
		if i >= 8 && i < 14 {
			continue // the answer itself
		}
		b := reply()
		b[i] ^= 1
		if isAt(b, router4, source, ours) {
			t.Errorf("taken although octet %d is wrong: %x", i, b)
		}
		if isAt(b[:i], router4, source, ours) {
			t.Errorf("taken although it ends after %d octets", i)
		}
	}
	if isAt(whoHas(router4, source, ours), router4, source, ours) {
		t.Error("the question is taken for its answer")
	}
}

func TestOnlyAnAdvertisementOfTheTargetIsOne(t *testing.T) {
	b := solicit(router6, nil)
	if advertises(b, router6) {
		t.Error("the question is taken for its answer")
	}
	b[0] = advertisement
	if !advertises(b, router6) {
		t.Error("the answer is not taken")
	}
	for i := 8; i < len(b); i++ {
		b[i] ^= 1
		if advertises(b, router6) || advertises(b[:i], router6) {
			t.Errorf("another target is taken: %x", b)
		}
		b[i] ^= 1
	}
}

func TestGroupOfATarget(t *testing.T) {
	if got, want := group(router6), netip.MustParseAddr("ff02::1:ff12:3456"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
