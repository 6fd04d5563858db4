package dnat

import (
	"bytes"
	"slices"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// nftSet is a set or map of nftables.
type nftSet struct {
	fields   []int // the lengths of the fields of a concatenation, without padding; otherwise that of the key
	interval bool
	known    bool // the elements were read
	elements []element
	catchall *element
}

// element is an interval of keys, both bounds included, with the value of a map.
type element struct {
	first, last []byte
	data        []byte
	verdict     []byte // NFTA_DATA_VERDICT of a verdict map
	isEnd       bool   // first is the first key behind an interval
}

// newSet returns a set by its attributes (NFTA_SET_*).
func newSet(attributes []byte) *nftSet {
	s := &nftSet{interval: netfilter.FindUint32(attributes, unix.NFTA_SET_FLAGS)&unix.NFT_SET_INTERVAL != 0}
	for _, field := range nlattr.All(nlattr.Find(nlattr.Find(attributes, unix.NFTA_SET_DESC), setDescConcat)) {
		s.fields = append(s.fields, int(netfilter.FindUint32(field, setFieldLen)))
	}
	if len(s.fields) == 0 {
		s.fields = []int{int(netfilter.FindUint32(attributes, unix.NFTA_SET_KEY_LEN))}
	}
	return s
}

// setElements records the elements, given by their attributes (NFTA_SET_ELEM_*). The bounds of the intervals of a set without
// concatenation are elements of their own.
func (s *nftSet) setElements(all [][]byte) {
	s.known = true
	for _, attributes := range all {
		value := func(kind uint16) []byte {
			return nlattr.Find(nlattr.Find(attributes, kind), unix.NFTA_DATA_VALUE)
		}
		flags := netfilter.FindUint32(attributes, unix.NFTA_SET_ELEM_FLAGS)
		e := element{first: value(unix.NFTA_SET_ELEM_KEY), last: value(setElemKeyEnd), data: value(unix.NFTA_SET_ELEM_DATA),
			verdict: nlattr.Find(nlattr.Find(attributes, unix.NFTA_SET_ELEM_DATA), unix.NFTA_DATA_VERDICT), isEnd: flags&unix.NFT_SET_ELEM_INTERVAL_END != 0}
		if flags&setElemCatchall != 0 {
			s.catchall = &e
			continue
		}
		s.elements = append(s.elements, e)
	}
	s.joinBounds()
}

// joinBounds makes an interval of each element and its end.
func (s *nftSet) joinBounds() {
	slices.SortStableFunc(s.elements, func(a, b element) int {
		if c := bytes.Compare(a.first, b.first); c != 0 || a.isEnd == b.isEnd {
			return c
		}
		return map[bool]int{true: -1, false: 1}[a.isEnd]
	})
	var joined []element
	for i, e := range s.elements {
		switch {
		case e.isEnd:
			continue
		case e.last != nil:
		case len(s.fields) > 1:
			e.last = e.first
		case s.interval && i+1 < len(s.elements):
			e.last = previousKey(s.elements[i+1].first)
		case s.interval:
			e.last = bytes.Repeat([]byte{0xff}, len(e.first))
		default:
			e.last = e.first
		}
		joined = append(joined, e)
	}
	s.elements = joined
}

// previousKey returns the key before this one.
func previousKey(key []byte) []byte {
	b := slices.Clone(key)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]--; b[i] != 0xff {
			break
		}
	}
	return b
}

// match compares a key, of which only some bits may be known, with the element. The registers hold the fields of a
// concatenation in units of 4 bytes.
func (e element) match(registers []register, fields []int) match {
	result, offset := yes, 0
	for _, length := range fields {
		if offset+length > len(e.first) || offset+length > len(e.last) || offset+length > len(registers) {
			return maybe
		}
		field := registers[offset : offset+length]
		first, last := e.first[offset:offset+length], e.last[offset:offset+length]
		m := equalTo(field, first)
		if !bytes.Equal(first, last) {
			m = min(compare(field, first, func(c int) bool { return c >= 0 }), compare(field, last, func(c int) bool { return c <= 0 }))
		}
		result = min(result, m)
		offset += (length + 3) &^ 3
	}
	return result
}
