package dnat

import (
	"encoding/binary"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// ports implements rule. All constants of two bytes count, also those that are compared with other fields: Follow knows better.
func (r *nftRule) ports(add func(uint16)) {
	for _, e := range r.expressions {
		switch e.name {
		case "cmp":
			addPort(add, nlattr.Find(nlattr.Find(e.data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE))
		case "range":
			addPort(add, nlattr.Find(nlattr.Find(e.data, unix.NFTA_RANGE_FROM_DATA), unix.NFTA_DATA_VALUE))
		case "lookup":
			r.sets[netfilter.FindString(e.data, unix.NFTA_LOOKUP_SET)].ports(add)
		}
	}
}

func addPort(add func(uint16), value []byte) {
	if len(value) == 2 {
		add(binary.BigEndian.Uint16(value))
	}
}

// ports calls add for each field of two bytes of the keys. The fields of a concatenation begin at multiples of four bytes.
func (s *nftSet) ports(add func(uint16)) {
	if s == nil {
		return
	}
	for _, e := range s.elements {
		at := 0
		for _, length := range s.fields {
			if length == 2 && at+2 <= len(e.first) {
				addPort(add, e.first[at:at+2])
			}
			at += (length + 3) / 4 * 4
		}
	}
}
