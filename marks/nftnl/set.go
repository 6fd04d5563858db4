package nftnl

import (
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// The data types by which nft(8) prints the keys of a set (include/datatype.h).
const (
	TypeInteger  = 4
	TypeAddress4 = 7
	TypeAddress6 = 8
	TypeEther    = 9
	TypeMark     = 19
	TypeIfindex  = 20
	TypeIfname   = 41
)

// Set is a set, or a map to verdicts.
type Set struct {
	Name      string
	ID        uint32 // among the sets of one transaction
	KeyType   uint32
	KeyLength uint32 // in bytes
	Size      uint32 // the largest number of elements; 0: any
	Dynamic   bool   // filled by packets
	Verdicts  bool   // a map to verdicts
	Marks     bool   // a map to marks
	// NetworkOrder says that the keys of a map to verdicts are in the byte order of packets, else they are in that of the host.
	NetworkOrder bool
}

// hostOrder says to nft(8) that the keys are in the byte order of the host (libnftnl, NFTNL_UDATA_SET_KEYBYTEORDER).
var hostOrder = []byte{0, 4, 1, 0, 0, 0}

// networkOrder says that they are in that of packets.
var networkOrder = []byte{0, 4, 2, 0, 0, 0}

// typeVerdict is NFT_DATA_VERDICT.
const typeVerdict = 0xffffff00

// CreateSet makes a set.
func (t Table) CreateSet(s Set) Request {
	body := slices.Concat(t.inTable(unix.NFTA_SET_NAME, s.Name), Uint32Attribute(unix.NFTA_SET_ID, s.ID),
		Uint32Attribute(unix.NFTA_SET_KEY_TYPE, s.KeyType), Uint32Attribute(unix.NFTA_SET_KEY_LEN, s.KeyLength))
	var flags uint32
	if s.Dynamic {
		flags |= unix.NFT_SET_EVAL
	}
	if s.Verdicts {
		flags |= unix.NFT_SET_MAP
		order := hostOrder
		if s.NetworkOrder {
			order = networkOrder
		}
		body = slices.Concat(body, Uint32Attribute(unix.NFTA_SET_DATA_TYPE, typeVerdict), netfilter.Attribute(unix.NFTA_SET_USERDATA, order))
	}
	if s.Marks {
		flags |= unix.NFT_SET_MAP
		body = slices.Concat(body, Uint32Attribute(unix.NFTA_SET_DATA_TYPE, TypeMark), Uint32Attribute(unix.NFTA_SET_DATA_LEN, 4))
	}
	if flags != 0 {
		body = slices.Concat(body, Uint32Attribute(unix.NFTA_SET_FLAGS, flags))
	}
	if s.Size != 0 {
		body = slices.Concat(body, Nested(unix.NFTA_SET_DESC, Uint32Attribute(unix.NFTA_SET_DESC_SIZE, s.Size)))
	}
	return Request{Operation: "create the set " + s.Name, kind: unix.NFT_MSG_NEWSET, flags: unix.NLM_F_CREATE, body: body}
}

// DeleteSet deletes a set with its elements.
func (t Table) DeleteSet(name string) Request {
	return Request{Operation: "delete the set " + name, kind: unix.NFT_MSG_DELSET, body: t.inTable(unix.NFTA_SET_NAME, name)}
}

// FlushSet deletes the elements of a set.
func (t Table) FlushSet(name string) Request {
	return Request{Operation: "flush the set " + name, kind: unix.NFT_MSG_DELSETELEM, body: t.setElements(name)}
}

// setElements returns the attributes that name the set of elements.
func (t Table) setElements(name string) []byte { return t.inTable(unix.NFTA_SET_ELEM_LIST_SET, name) }

// Key encodes the key of an element.
func Key(key []byte) []byte { return data(unix.NFTA_SET_ELEM_KEY, key) }

// MarkKey encodes a mark or an index as the key of an element.
func MarkKey(mark uint32) []byte { return Key(Native(mark)) }

// NameKey encodes the name of a link as the key of an element.
func NameKey(name string) []byte { return Key(LinkName(name)) }

// LinkName returns the name of a link as registers hold it.
func LinkName(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// ToChain encodes an element of a map: the packet continues at the chain and does not return.
func ToChain(key []byte, chain string) []byte {
	return slices.Concat(key, Nested(unix.NFTA_SET_ELEM_DATA, verdict(unix.NFT_GOTO, chain)))
}

// AddElements adds elements to a set: keys, or elements of ToChain.
func (t Table) AddElements(s Set, elements ...[]byte) Request {
	var list []byte
	for _, e := range elements {
		list = append(list, Nested(unix.NFTA_LIST_ELEM, e)...)
	}
	return Request{Operation: "fill the set " + s.Name, kind: unix.NFT_MSG_NEWSETELEM, flags: unix.NLM_F_CREATE, body: slices.Concat(
		t.setElements(s.Name), Uint32Attribute(unix.NFTA_SET_ELEM_LIST_SET_ID, s.ID), Nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, list))}
}

// ListElements returns the request that lists the elements of a set.
func (t Table) ListElements(name string) Request {
	return Request{Operation: "list the set " + name, kind: unix.NFT_MSG_GETSETELEM, body: t.setElements(name)}
}
