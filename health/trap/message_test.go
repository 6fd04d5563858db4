package trap

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

func TestAttributesAreReadAsTheyAreWritten(t *testing.T) {
	b := slices.Concat(nfnetlink.Text(1, "odd"), nest(2, number(3, 0x01020304), nfnetlink.Text(4, "inside")), nfnetlink.Attribute(5, nil))
	if got := nfnetlink.Value(b, 1); string(got) != "odd\x00" {
		t.Errorf("%q", got)
	}
	if got := nfnetlink.Value(nfnetlink.Value(b, 2), 3); !bytes.Equal(got, []byte{1, 2, 3, 4}) {
		t.Errorf("%x", got)
	}
	if got := nfnetlink.Value(nfnetlink.Value(b, 2), 4); string(got) != "inside\x00" {
		t.Errorf("%q", got)
	}
	if len(b)%4 != 0 || nfnetlink.Value(b, 9) != nil {
		t.Errorf("%x", b)
	}
}

func TestWhatIsCutOffIsNotRead(t *testing.T) {
	whole := nest(1, number(2, 7))
	for n := range len(whole) {
		if v := nfnetlink.Value(nfnetlink.Value(whole[:n], 1), 2); v != nil {
			t.Errorf("%d bytes: %x", n, v)
		}
	}
}

func TestKeysComeBackFieldByField(t *testing.T) {
	s := newFamily(6).left
	asker, from := netip.MustParseAddr("2001:db8::fe"), netip.MustParseAddr("2001:db8:b::2")
	key := slices.Concat(asker.AsSlice(), []byte{0x10, 0x92, 0, 0}, from.AsSlice(), []byte{1, 0, 0, 0}, []byte{0, 0, 0, 0})
	message := s.fill([][]byte{key, key[:8]})
	n := 0
	s.keys(message.body, func(k [][]byte) {
		n++
		if address(k[0]) != asker || port16(k[1]) != 4242 || address(k[2]) != from || k[3][0] != 1 {
			t.Errorf("%x", k)
		}
	})
	if n != 1 {
		t.Errorf("%d keys, want the whole one alone", n)
	}
	if s.words() != 11 || s.words() > 16 {
		t.Errorf("%d words", s.words())
	}
}

func TestWhoHasTheTableIsTold(t *testing.T) {
	for want, err := range map[string]error{
		"another program proves at this moment":            refused{"make the table", true, unix.EPERM},
		"it needs CAP_NET_ADMIN":                           refused{"the transaction", false, unix.EPERM},
		"it needs Linux 5.12 or later, with nf_tables":     refused{"make the table", true, unix.EOPNOTSUPP},
		"it needs the kernel modules nf_tables and nft_ct": refused{"add a rule", false, unix.ENOENT},
	} {
		if got := remedy(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
