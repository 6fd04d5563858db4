package nftnl_test

import (
	"bytes"
	"slices"
	"testing"

	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"
)

func TestAttributesRoundTrip(t *testing.T) {
	b := slices.Concat(netfilter.StringAttribute(1, "odd"), nftnl.Nested(2, nftnl.Uint32Attribute(3, 0x01020304), netfilter.StringAttribute(4, "inside")), netfilter.Attribute(5, nil))
	if got := nlattr.Find(b, 1); string(got) != "odd\x00" {
		t.Errorf("%q", got)
	}
	if got := nlattr.Find(nlattr.Find(b, 2), 3); !bytes.Equal(got, []byte{1, 2, 3, 4}) {
		t.Errorf("%x", got)
	}
	if got := nlattr.Find(nlattr.Find(b, 2), 4); string(got) != "inside\x00" {
		t.Errorf("%q", got)
	}
	if len(b)%4 != 0 || nlattr.Find(b, 9) != nil {
		t.Errorf("%x", b)
	}
}

func TestTruncatedAttributesAreRejected(t *testing.T) {
	whole := nftnl.Nested(1, nftnl.Uint32Attribute(2, 7))
	for n := range len(whole) {
		if v := nlattr.Find(nlattr.Find(whole[:n], 1), 2); v != nil {
			t.Errorf("%d bytes: %x", n, v)
		}
	}
}
