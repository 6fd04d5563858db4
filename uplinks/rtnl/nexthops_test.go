package rtnl

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// nexthopObject returns a message about an object that has RTNH_F_ONLINK and these attributes.
func nexthopObject(attrs ...[]byte) []byte {
	m := []byte{unix.AF_INET, 0, 0, 0, unix.RTNH_F_ONLINK, 0, 0, 0}
	return slices.Concat(append([][]byte{m}, attrs...)...)
}

func uint32Attr(attrType uint16, n uint32) []byte {
	return nlattr.Append(nil, attrType, nativeEndian.AppendUint32(nil, n))
}

func TestNexthopObjectsResolveToHops(t *testing.T) {
	group := nlattr.Append(nil, nhaGroup, []byte{7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0})
	all := map[uint32]nexthop{}
	for _, m := range [][]byte{
		nexthopObject(uint32Attr(nhaID, 7), uint32Attr(nhaOif, 2), nlattr.Append(nil, nhaGateway, []byte{192, 0, 2, 1})),
		nexthopObject(uint32Attr(nhaID, 8), uint32Attr(nhaOif, 3)),
		nexthopObject(uint32Attr(nhaID, 9), group),
	} {
		id, object, err := parseNexthop(m)
		if err != nil {
			t.Fatal(err)
		}
		all[id] = object
	}
	first := hop{link: 2, via: netip.MustParseAddr("192.0.2.1"), flags: unix.RTNH_F_ONLINK, weight: 1}
	second := hop{link: 3, flags: unix.RTNH_F_ONLINK, weight: 1}
	if got := hopsOfNexthop(all, 7); !slices.Equal(got, []hop{first}) {
		t.Errorf("object 7 has the hops %+v, want %+v", got, first)
	}
	second.weight = 3
	if got := hopsOfNexthop(all, 9); !slices.Equal(got, []hop{first, second}) {
		t.Errorf("group 9 has the hops %+v, want %+v, %+v", got, first, second)
	}
	if _, _, err := parseNexthop(nexthopObject()[:7]); !errors.Is(err, unix.EBADMSG) {
		t.Errorf("a truncated message: %v, want EBADMSG", err)
	}
}
