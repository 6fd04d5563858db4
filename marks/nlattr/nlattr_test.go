package nlattr_test

import (
	"bytes"
	"net/netip"
	"testing"

	"replypath/marks/nlattr"
)

type attr struct {
	attrType uint16
	value    string
}

func collect(b []byte) (all []attr) {
	for t, v := range nlattr.All(b) {
		all = append(all, attr{t, string(v)})
	}
	return all
}

func TestAttributesRoundTrip(t *testing.T) {
	const nested, netByteOrder = 1 << 15, 1 << 14
	want := []attr{{1, "odd"}, {2, ""}, {3, "even"}, {4, "longer"}}
	var b []byte
	for i, a := range want {
		b = nlattr.Append(b, a.attrType|[]uint16{0, nested, netByteOrder, nested | netByteOrder}[i], []byte(a.value))
		if len(b)%4 != 0 {
			t.Errorf("attribute %d is not padded: %d bytes", a.attrType, len(b))
		}
	}
	got := collect(b)
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
		if v := nlattr.Find(b, want[i].attrType); string(v) != want[i].value || v == nil {
			t.Errorf("Find(%d) = %q, want %q", want[i].attrType, v, want[i].value)
		}
	}
	if v := nlattr.Find(b, 5); v != nil {
		t.Errorf("Find of an absent type = %q, want nil", v)
	}
}

func TestTruncatedAttributeEndsTheIteration(t *testing.T) {
	b := nlattr.Append(nlattr.Append(nil, 1, []byte("abcd")), 2, []byte("efg"))
	for n := range b {
		want := 0
		switch {
		case n >= 15: // the padding of the last one may be absent
			want = 2
		case n >= 8:
			want = 1
		}
		if got := collect(b[:n]); len(got) != want {
			t.Errorf("%d bytes hold %v, want %d attributes", n, got, want)
		}
	}
	if got := collect([]byte{3, 0, 1, 0, 8, 0, 2, 0}); got != nil {
		t.Errorf("an attribute shorter than its header yields %v", got)
	}
}

func TestShortValueReadsAsZero(t *testing.T) {
	for n := range 4 {
		v := nlattr.Value(bytes.Repeat([]byte{1}, n))
		if n < 1 && v.Uint8() != 0 || n < 2 && v.Uint16() != 0 || v.Uint32() != 0 || v.Addr().IsValid() || v.Prefix(8).IsValid() {
			t.Errorf("%d bytes: %d %d %d %v %v", n, v.Uint8(), v.Uint16(), v.Uint32(), v.Addr(), v.Prefix(8))
		}
	}
	v := nlattr.Value{192, 0, 2, 0}
	if v.BigEndian() != 0xc0000200 || v.Addr() != netip.AddrFrom4([4]byte(v)) || v.Prefix(24) != netip.MustParsePrefix("192.0.2.0/24") {
		t.Errorf("got %#x %v %v", v.BigEndian(), v.Addr(), v.Prefix(24))
	}
}

func FuzzAll(f *testing.F) {
	f.Add([]byte("\x08\x00\x01\x00\xc0\x00\x02\x00\x05\x00\x04\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		for attrType, v := range nlattr.All(b) {
			_, _, _, _ = v.Uint8(), v.Uint16(), v.Uint32(), v.BigEndian()
			again = nlattr.Append(again, attrType, v)
		}
		first, second := collect(b), collect(again)
		if len(first) != len(second) {
			t.Fatalf("%v becomes %v", first, second)
		}
		for i := range first {
			if first[i] != second[i] {
				t.Errorf("%v becomes %v", first[i], second[i])
			}
		}
	})
}
