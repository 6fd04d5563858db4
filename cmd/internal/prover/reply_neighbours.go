package prover

import (
	"slices"
	"time"

	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// neighbourTimeout is longer than the kernel tries to resolve a neighbour: three requests, one second apart (arp(7), mcast_solicit and
// retrans_time).
const neighbourTimeout = 4 * time.Second

// awaitNeighbours waits while replies wait for the hardware address of their neighbour, which the kernel forgets when the link loses its
// carrier: without the capture they would leave as soon as it is back.
func (c *captureWindow) awaitNeighbours(t *trace) {
	var awaited []egress.LinkAddr
	traces := t.traces()
	for _, q := range c.injected {
		awaited = append(awaited, traces.NeighboursAwaited(q)...)
	}
	if len(awaited) == 0 {
		return
	}
	table, err := rtnl.OpenNeighbourTable()
	if err != nil {
		return
	}
	defer table.Close()
	incomplete := func(n egress.NeighbourLookup) bool { return n.Err == nil && n.Found && n.State == egress.Incomplete }
	for began := time.Now(); slices.ContainsFunc(table.Neighbours(awaited), incomplete) && time.Since(began) < neighbourTimeout; {
		time.Sleep(capturePollInterval)
	}
}
