package trap

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"

	"replypath/uplinks"
)

// set is a set of the table. Its key is made of fields, each of whole words.
type set struct {
	name   string
	id     uint32
	fields []datatype
	noted  bool // packets fill it
}

// datatype is what nft(8) prints a field as, so that a listing of the table is readable while it is there.
type datatype struct{ id, words uint32 }

// The data types, by the numbers of nft(8) (include/datatype.h).
var (
	address4 = datatype{7, 1}
	address6 = datatype{8, 4}
	port     = datatype{13, 1}
	fwmark   = datatype{19, 1}
	ifindex  = datatype{20, 1}
	ctDir    = datatype{27, 1}
)

// bitsPerType is how the types of a key's fields are put into one number.
const bitsPerType = 6

func (s set) keyType() (id uint32) {
	for _, f := range s.fields {
		id = id<<bitsPerType | f.id
	}
	return id
}

func (s set) words() (n uint32) {
	for _, f := range s.fields {
		n += f.words
	}
	return n
}

// family is what of a family's packets is looked at.
type family struct {
	of           uplinks.Family
	proto        byte // NFPROTO_*
	icmp         byte
	refused      byte   // the type of the ICMP errors by which hosts and firewalls refuse
	header       uint32 // its length, without options
	protocol     uint32 // where it says what follows
	from, to     span   // of the addresses in it
	address      datatype
	asked        set // who asks
	walked, left set // what was seen
}

func newFamily(of uplinks.Family) family {
	f := family{of: of, proto: unix.NFPROTO_IPV4, icmp: unix.IPPROTO_ICMP, refused: 3,
		header: 20, protocol: 9, from: span{12, 4}, to: span{16, 4}, address: address4}
	name := "4"
	if of == uplinks.IPv6 {
		f = family{of: of, proto: unix.NFPROTO_IPV6, icmp: unix.IPPROTO_ICMPV6, refused: 1,
			header: 40, protocol: 6, from: span{8, 16}, to: span{24, 16}, address: address6}
		name = "6"
	}
	id := 10 * uint32(of)
	f.asked = set{"asked" + name, id, []datatype{f.address}, false}
	f.walked = set{"walked" + name, id + 1, []datatype{fwmark, f.address, port, fwmark, fwmark}, true}
	f.left = set{"left" + name, id + 2, []datatype{f.address, port, f.address, ctDir, ifindex}, true}
	return f
}

var families = [...]family{newFamily(uplinks.IPv4), newFamily(uplinks.IPv6)}

// ways are the links by which no question may leave.
var ways = set{"uplinks", 1, []datatype{ifindex}, false}

// make makes the set, with room for so many elements from the beginning on: a listing of a set that has grown meanwhile
// leaves some out.
func (s set) make(room int) message {
	m := message{what: "make the set " + s.name, kind: unix.NFT_MSG_NEWSET, body: slices.Concat(
		nfnetlink.Text(unix.NFTA_SET_TABLE, Name), nfnetlink.Text(unix.NFTA_SET_NAME, s.name), number(unix.NFTA_SET_ID, s.id),
		number(unix.NFTA_SET_KEY_TYPE, s.keyType()), number(unix.NFTA_SET_KEY_LEN, 4*s.words()))}
	if s.noted {
		m.body = slices.Concat(m.body, number(unix.NFTA_SET_FLAGS, unix.NFT_SET_EVAL), nest(unix.NFTA_SET_DESC, number(unix.NFTA_SET_DESC_SIZE, uint32(room))))
	}
	return m
}

// fill puts keys into the set.
func (s set) fill(keys [][]byte) message {
	var elements []byte
	for _, k := range keys {
		key := nest(unix.NFTA_SET_ELEM_KEY, nfnetlink.Attribute(unix.NFTA_DATA_VALUE, k))
		elements = append(elements, nest(unix.NFTA_LIST_ELEM, key)...)
	}
	return message{what: "fill the set " + s.name, kind: unix.NFT_MSG_NEWSETELEM, body: slices.Concat(
		nfnetlink.Text(unix.NFTA_SET_ELEM_LIST_TABLE, Name), nfnetlink.Text(unix.NFTA_SET_ELEM_LIST_SET, s.name), number(unix.NFTA_SET_ELEM_LIST_SET_ID, s.id),
		nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, elements))}
}

// list asks for all that is in the set.
func (s set) list() message {
	return message{what: "list the set " + s.name, kind: unix.NFT_MSG_GETSETELEM, body: slices.Concat(
		nfnetlink.Text(unix.NFTA_SET_ELEM_LIST_TABLE, Name), nfnetlink.Text(unix.NFTA_SET_ELEM_LIST_SET, s.name))}
}

// keys calls each with the keys of a listing's message, field by field.
func (s set) keys(attributes []byte, each func(fields [][]byte)) {
	for _, element := range nfnetlink.Attributes(nfnetlink.Value(attributes, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		key := nfnetlink.Value(nfnetlink.Value(element, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE)
		if len(key) != 4*int(s.words()) {
			continue
		}
		var fields [][]byte
		for _, f := range s.fields {
			fields = append(fields, key[:4*f.words])
			key = key[4*f.words:]
		}
		each(fields)
	}
}

func address(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

func word(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
