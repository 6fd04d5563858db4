package icmp

import (
	"errors"
	"math/rand/v2"
)

const (
	idBits   = 12
	idCount  = 1 << idBits // as many questions may wait in a family
	idMask   = idCount - 1
	leastAsk = 24 // octets of a question's data, as the library wants it
	sizes    = 64 // a question's number on its id, told by its size
)

// ids are the echo identifiers in use. They share their upper bits, by which the witness's filter knows them.
//
// To conntrack an identifier is what a port is to TCP, and it remembers each for half a minute. So a target is asked by
// the same few again and again: those behind a number that is the target's own. A late answer to an earlier question of
// the same identifier is told by its size.
type ids struct {
	prefix uint16
	busy   [idCount]bool
	asked  [idCount]uint8
}

func newIDs() *ids { return &ids{prefix: uint16(rand.N(1<<(16-idBits))) << idBits} }

// take is the first free identifier from the wanted one on, and the size of the question that is to use it.
func (s *ids) take(wanted uint64) (id uint16, size int, err error) {
	for i := range uint64(idCount) {
		n := uint16((wanted + i) & idMask)
		if s.busy[n] {
			continue
		}
		s.busy[n] = true
		s.asked[n] = (s.asked[n] + 1) % sizes
		return s.prefix | n, leastAsk + int(s.asked[n]), nil
	}
	return 0, 0, errors.New("too many questions wait for their answers")
}

func (s *ids) free(id uint16) { s.busy[id&idMask] = false }
