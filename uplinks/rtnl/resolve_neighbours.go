package rtnl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"replypath/uplinks/egress"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// validStates are the states in which packets to a neighbour are sent at once (NUD_VALID).
const validStates = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | unix.NUD_PROBE | unix.NUD_STALE | unix.NUD_DELAY

// ResolveNeighbours makes the kernel of the calling thread's network namespace resolve the addresses that it does not know, as
// for packets of its own, and waits for them until ctx is done. It returns the entries of the wanted addresses, also those that
// are not valid. It waits for the kernel's events: their number does not grow with the time. refused says which addresses the kernel
// does not even try to resolve, as its table is full or a link is down: it does not wait for them.
func ResolveNeighbours(ctx context.Context, wanted []egress.LinkAddr) (entries []egress.Neighbour, refused, err error) {
	table, err := OpenNeighbourTable()
	if err != nil {
		return nil, nil, err
	}
	defer table.Close()
	events, err := subscribeToNeighbours(validStates)
	if err != nil {
		return nil, nil, err
	}
	defer events.Close()
	r := neighbourResolution{table: table, entries: map[egress.LinkAddr]egress.Neighbour{}, missing: map[egress.LinkAddr]bool{}}
	for _, a := range wanted {
		r.missing[a] = true
	}
	if err := r.look(); err != nil {
		return nil, nil, err
	}
	for a := range r.missing {
		if err := table.Resolve(a.Link, a.Addr); err != nil {
			refused = errors.Join(refused, err)
			delete(r.missing, a)
		}
	}
	if err := r.await(ctx, events); err != nil {
		return nil, nil, err
	}
	err = r.look()
	return slices.Collect(maps.Values(r.entries)), refused, err
}

// neighbourResolution is the wait for neighbours.
type neighbourResolution struct {
	table   *NeighbourTable
	entries map[egress.LinkAddr]egress.Neighbour
	missing map[egress.LinkAddr]bool // without a valid entry
}

// look reads the entries that are missing.
func (r *neighbourResolution) look() error {
	for _, n := range r.table.Neighbours(slices.Collect(maps.Keys(r.missing))) {
		switch {
		case errors.Is(n.Err, unix.ENODEV), errors.Is(n.Err, unix.ENETDOWN): // the link has just gone
		case n.Err != nil:
			return n.Err
		case n.Found:
			r.add(n.Neighbour)
		}
	}
	return nil
}

func (r *neighbourResolution) add(n egress.Neighbour) {
	r.entries[n.Where()] = n
	if n.State.Valid() {
		delete(r.missing, n.Where())
	}
}

// await receives events until no entry is missing, or ctx is done.
func (r *neighbourResolution) await(ctx context.Context, events *nl.NetlinkSocket) error {
	defer context.AfterFunc(ctx, events.Close)()
	for len(r.missing) > 0 {
		messages, _, err := events.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			if err := r.look(); err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("wait for neighbours: %w", err)
		}
		r.read(messages)
	}
	return nil
}

// read takes the entries that are missing from the messages.
func (r *neighbourResolution) read(messages []syscall.NetlinkMessage) {
	for _, m := range messages {
		if n, ok := parseNeighbour(m.Data); ok && m.Header.Type == unix.RTM_NEWNEIGH && r.missing[n.Where()] {
			r.add(n)
		}
	}
}
