package capture

import (
	"net/netip"
	"slices"
	"testing"

	"replypath/health/proof"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

func TestSetKeysAreSplitIntoFields(t *testing.T) {
	s := newCaptureFamily(6).egress
	peer, from := netip.MustParseAddr("2001:db8::fe"), netip.MustParseAddr("2001:db8:b::2")
	key := slices.Concat([]byte{byte(proof.ReplyEgress), unix.IPPROTO_TCP, 1, 0}, from.AsSlice(), peer.AsSlice(), []byte{1, 0xbb, 0x10, 0x92},
		[]byte{3, 0, 0, 0}, []byte{2, 0, 0, 0}, peer.AsSlice())
	message := s.addElements([][]byte{key, key[:8]})
	n := 0
	newKeyReader(s).read(message.Attributes(), func(k [][]byte) {
		n++
		mine, other := ports(toUint32(k[0]), k[3])
		if toAddr(k[1]) != from || toAddr(k[2]) != peer || mine != 4242 || other != 443 || k[4][0] != 3 || toAddr(k[6]) != peer {
			t.Errorf("%x", k)
		}
	})
	if n != 1 {
		t.Errorf("%d keys, want only the complete one", n)
	}
}

// TestKeysFitTheRegisters compares with the 16 registers of nftables (linux/netfilter/nf_tables.h, NFT_REG32_COUNT).
func TestKeysFitTheRegisters(t *testing.T) {
	for _, f := range families {
		for _, s := range []set{f.hooks, f.egress} {
			if s.words() > 16 {
				t.Errorf("%s: %d words", s.name, s.words())
			}
		}
	}
}

func TestPortsOfObservations(t *testing.T) {
	field := []byte{0x10, 0x92, 1, 0xbb}
	for name, c := range map[string]struct {
		kind       packetKind
		peer, host uint16
	}{
		"a request by TCP": {packetKind{about: unix.IPPROTO_TCP}, 4242, 443},
		"a reply by TCP":   {packetKind{about: unix.IPPROTO_TCP, peerLast: true}, 443, 4242},
		"an echo":          {packetKind{about: unix.IPPROTO_ICMPV6}, 4242, 0},
	} {
		if peer, host := ports(c.kind.word(proof.OutputEnd), field); peer != c.peer || host != c.host {
			t.Errorf("%s: %d and %d", name, peer, host)
		}
	}
}

func TestHintNamesTheObstacle(t *testing.T) {
	for want, err := range map[string]error{
		"another process runs a proof":                     nftnl.RequestError{Operation: "create the table", First: true, Errno: unix.EPERM},
		"it needs CAP_NET_ADMIN":                           nftnl.RequestError{Operation: "the transaction", First: false, Errno: unix.EPERM},
		"it needs Linux 5.12 or later, with nf_tables":     nftnl.RequestError{Operation: "create the table", First: true, Errno: unix.EOPNOTSUPP},
		"it needs the kernel modules nf_tables and nft_ct": nftnl.RequestError{Operation: "add a rule", First: false, Errno: unix.ENOENT},
	} {
		if got := hint(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
