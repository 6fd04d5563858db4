package dnat

import (
	"bytes"
	"encoding/binary"
	"slices"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Attributes of numgen and hash (linux/netfilter/nf_tables.h, NFTA_NG_* and NFTA_HASH_*).
const (
	numgenDest, numgenModulus, numgenOffset = 1, 2, 4
	hashDest, hashModulus, hashOffset       = 2, 4, 6
)

// draw is a number that is drawn for each connection: first or one of the count-1 numbers after it.
type draw struct {
	at           int // its register
	first, count uint32
	swapped      bool // the register is in the reverse of native order
}

// maxDraw is the largest count whose numbers are looked up one by one.
const maxDraw = 1 << 10

// draw evaluates an expression that draws a number.
func (m *machine) draw(data []byte, dest, modulus, offset uint16) {
	m.load(data, dest, make([]register, 4))
	m.drawn = draw{first: netfilter.FindUint32(data, offset), count: netfilter.FindUint32(data, modulus)}
	m.drawn.at, _ = registerOffset(data, dest)
}

// lookup evaluates a look-up in a set or map.
func (m *machine) lookup(data []byte) {
	s := m.sets[netfilter.FindString(data, unix.NFTA_LOOKUP_SET)]
	_, isMap := registerOffset(data, unix.NFTA_LOOKUP_DREG)
	verdicts := nlattr.Find(data, unix.NFTA_LOOKUP_DREG) != nil && !isMap // the register of verdicts is none of data
	if s == nil || !s.known {
		m.hold(maybe)
		m.load(data, unix.NFTA_LOOKUP_DREG, nil)
		if verdicts {
			m.outcome |= anything | kept
		}
		return
	}
	found, candidates := m.find(s, data)
	if netfilter.FindUint32(data, unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0 {
		found = found.not()
	}
	m.hold(found)
	switch {
	case verdicts:
		m.verdicts(found, candidates)
	case isMap:
		m.loadCandidates(data, candidates)
	}
}

// verdicts ends the rule with the verdict of one of the elements.
func (m *machine) verdicts(found match, candidates []element) {
	ends := found == yes
	for _, c := range candidates {
		o, final := m.verdictOutcome(c.verdict)
		m.outcome |= o
		ends = ends && final
	}
	m.ended = ends
}

// loadCandidates loads the value of the element that was found. If it may be one of several, those bits that differ are
// unknown.
func (m *machine) loadCandidates(data []byte, candidates []element) {
	if len(candidates) == 0 {
		return
	}
	content := knownBytes(candidates[0].data...)
	for _, c := range candidates[1:] {
		for i := range min(len(content), len(c.data)) {
			content[i].known &^= content[i].value ^ c.data[i]
		}
	}
	m.load(data, unix.NFTA_LOOKUP_DREG, content)
}

// find returns the elements that the key may select, and whether it selects one of them.
func (m *machine) find(s *nftSet, data []byte) (found match, candidates []element) {
	key := m.field(data, unix.NFTA_LOOKUP_SREG)
	at, _ := registerOffset(data, unix.NFTA_LOOKUP_SREG)
	d := m.drawn
	if d.count == 0 || d.count > maxDraw || d.at != at || len(s.fields) != 1 {
		return s.find(key)
	}
	found = yes
	for i := range d.count {
		number := binary.NativeEndian.AppendUint32(nil, d.first+i)
		if d.swapped {
			slices.Reverse(number)
		}
		one, elements := s.find(knownBytes(number...))
		found = min(found, max(one, maybe))
		for _, e := range elements {
			if !slices.ContainsFunc(candidates, func(c element) bool { return bytes.Equal(c.first, e.first) && bytes.Equal(c.last, e.last) }) {
				candidates = append(candidates, e)
			}
		}
	}
	if len(candidates) == 0 {
		found = no
	}
	return found, candidates
}

// find returns the elements that the key may select, a single one if that is certain.
func (s *nftSet) find(key []register) (found match, candidates []element) {
	for _, e := range s.elements {
		is := e.match(key, s.fields)
		if is == yes {
			return yes, []element{e}
		}
		if is == maybe {
			found, candidates = maybe, append(candidates, e)
		}
	}
	if s.catchall != nil {
		candidates, found = append(candidates, *s.catchall), max(found, yes)
	}
	return found, candidates
}
