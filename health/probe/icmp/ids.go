package icmp

import (
	"errors"
	"math/rand/v2"
)

const (
	idBits  = 12
	idCount = 1 << idBits // as many questions may wait in a family
	idMask  = idCount - 1
)

// ids are the echo identifiers in use. They share their upper bits, by which the witness's filter knows them.
//
// To conntrack an identifier is what a port is to TCP, and it remembers each for half a minute. So a target is asked by
// the same few again and again: those behind a number that is the target's own.
type ids struct {
	prefix uint16
	busy   [idCount]bool
}

func newIDs() *ids { return &ids{prefix: uint16(rand.N(1<<(16-idBits))) << idBits} }

// take is the first free identifier from the wanted one on.
func (s *ids) take(wanted uint64) (id uint16, err error) {
	for i := range uint64(idCount) {
		n := uint16((wanted + i) & idMask)
		if s.busy[n] {
			continue
		}
		s.busy[n] = true
		return s.prefix | n, nil
	}
	return 0, errors.New("too many questions wait for their answers")
}

func (s *ids) free(id uint16) { s.busy[id&idMask] = false }
