package prover

import (
	"math/rand/v2"
	"net/netip"

	"replypath/health/proof"
)

// peerPorts hands out the ports of peers from first to last, each once.
type peerPorts struct{ first, last, next uint16 }

// newPeerPorts gives each request a port of its own, and keeps some for repetitions.
func newPeerPorts(requests []proof.Request) *peerPorts {
	const highest = 65535
	n := min(portsPerRequest*len(requests), highest-firstPort)
	first := uint16(firstPort + rand.IntN(highest-firstPort-n+1))
	p := &peerPorts{first: first, last: first + uint16(n), next: first}
	for i := range requests {
		p.renew(&requests[i])
	}
	return p
}

// renew gives the request the next port, and reports whether there is one.
func (p *peerPorts) renew(q *proof.Request) bool {
	if p.next >= p.last {
		return false
	}
	p.next++
	q.From = netip.AddrPortFrom(q.From.Addr(), p.next)
	return true
}
