package icmp

import (
	"errors"
	"math/rand/v2"
)

const (
	idBits  = 12
	idCount = 1 << idBits // requests of a family that may be outstanding
	idMask  = idCount - 1

	// unusedID has a prefix that no allocator chooses: the filter of pro-bing's own socket accepts its replies alone.
	unusedID = 0
)

// idAllocator hands out echo identifiers. All of them have the same upper bits, which the ingress observer filters by.
//
// To conntrack an identifier is what a port is to TCP: it keeps an entry for each, for 30 seconds
// (nf_conntrack_icmp_timeout). So the requests to a target share the few identifiers that follow the target's own number.
type idAllocator struct {
	prefix uint16
	busy   [idCount]bool
}

func newIDAllocator() *idAllocator {
	const prefixes = 1 << (16 - idBits)
	return &idAllocator{prefix: uint16(1+rand.N(prefixes-1)) << idBits}
}

// allocate returns the first free identifier at or after the preferred number.
func (a *idAllocator) allocate(preferred uint64) (id uint16, err error) {
	for i := range uint64(idCount) {
		n := uint16((preferred + i) & idMask)
		if a.busy[n] {
			continue
		}
		a.busy[n] = true
		return a.prefix | n, nil
	}
	return 0, errors.New("too many echo requests are outstanding")
}

func (a *idAllocator) release(id uint16) { a.busy[id&idMask] = false }
