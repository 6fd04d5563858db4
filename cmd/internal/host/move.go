package host

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"replypath/marks"
	"replypath/marks/flowtable"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Moved counts the connections that a move ended or moved.
type Moved struct {
	Connections int       // their entries were deleted or lost their mark: the next packet takes another uplink
	Sockets     int       // of this host: their programs got an error
	Written     time.Time // when the last of these was written; zero: nothing was
}

// maxDeletions is the number of moves from which one list for all takes less time than a deletion by the kernel for each.
const maxDeletions = 8

// DeleteTranslated makes the kernel delete the connections of moves that have a translated source, by one request for each path, where it
// can, and returns how many about: their number is that by which the number of all has changed meanwhile. The kernel walks its whole
// table, and passes over empty buckets, which takes a fraction of the time of a list. It waits while another such walk goes on, as that of
// a network namespace that ends. A source is translated if its port alone is, too: the socket of such a connection of the host's own is
// ended. MoveConnections must follow, which does the rest, and all that is not urgent or concerns lost addresses alone. Safe for concurrent
// use.
func (h *Host) DeleteTranslated(moves ...uplinks.Move) (moved []Moved, err error) {
	moved = make([]Moved, len(moves))
	listed := func(m uplinks.Move) bool { return m.LostOnly || m.AtInit }
	if n := len(slices.DeleteFunc(slices.Clone(moves), listed)); n == 0 || n > maxDeletions {
		return moved, nil
	}
	if _, exists, err := flowtable.Read(); exists || err != nil {
		return moved, err // what is in it cannot be deleted
	}
	connected, err := rtnl.ConnectedTCPAddrs(context.Background())
	for i, m := range moves {
		if listed(m) {
			continue
		}
		m.Sources = slices.DeleteFunc(slices.Clone(m.Sources), func(a netip.Addr) bool { return !connected[a] })
		var failed error
		moved[i], failed = deleteTranslated(m)
		err = errors.Join(err, failed)
	}
	return moved, err
}

// deleteTranslated carries out a move for DeleteTranslated. Its sources are those by which the host has TCP connections.
func deleteTranslated(m uplinks.Move) (moved Moved, err error) {
	filter := rtnl.MarkFilter{Family: m.Family, Mark: m.Mark, Mask: m.Mask}
	var own []rtnl.Flow
	for _, a := range m.Sources {
		found, failed := rtnl.TranslatedPortsOf(filter, a)
		own, err = append(own, found...), errors.Join(err, failed)
	}
	before := connectionCount()
	able, failed := rtnl.DeleteTranslated(filter)
	if err = errors.Join(err, failed); !able {
		return moved, err
	}
	moved = Moved{Connections: max(0, before-connectionCount()), Written: time.Now()}
	moved.Sockets, failed = rtnl.DestroyTCPSockets(own)
	return moved, errors.Join(err, failed)
}

// MoveConnections carries out moves of any uplinks, and returns what each moved. Connections with a translated source cannot go on by
// another uplink, whose address is another one: conntrack forgets them, and the next packet begins anew. Those without lose their mark,
// and their next packet chooses. The host's own TCP connections have the address of the uplink: their sockets are ended. Those with an
// address that is lost are forgotten too, so that packets that follow are translated. Safe for concurrent use.
func (h *Host) MoveConnections(moves ...uplinks.Move) (moved []Moved, err error) {
	if len(moves) == 0 {
		return nil, nil
	}
	moved = make([]Moved, len(moves))
	for _, walk := range walks(moves, connectionCount(), bucketCount()) {
		err = errors.Join(err, h.flows.without(walk.filter, func() error { return walk.move(moved) }))
	}
	return moved, err
}

// MoveMark gives the connections with a mark another one. Safe for concurrent use.
func (h *Host) MoveMark(from, to marks.Mark, mask marks.Mask) error {
	return h.moveMark(rtnl.MarkFilter{Mark: from, Mask: mask}, to)
}

// moveMark gives the connections of the filter another mark.
func (h *Host) moveMark(filter rtnl.MarkFilter, to marks.Mark) error {
	return h.flows.without(filter, func() error {
		var w rtnl.ConnectionWriter
		err := rtnl.EachMarked(filter, func(c rtnl.TrackedConnection) { w.SetMark(c, to, filter.Mask) })
		return errors.Join(err, w.Close())
	})
}

// treatment is what a move does with a connection. Of several moves of one connection that with the greatest value counts.
type treatment uint8

const (
	keep                treatment = iota
	deleteEntry                   // conntrack deletes it
	clearMark                     // its next packet chooses another uplink
	endSocket                     // it is the host's own, which goes on by no other uplink
	endSocketThenDelete           // likewise, and the host has lost the address: what else the program sends from it must be translated
	deleteThenEndSocket           // likewise, and the uplink is removed: without an entry the filters at egress drop the last packet of the socket
)

// treat returns what the move does with a connection that has its mark and family.
func treat(m uplinks.Move, c rtnl.Connection) treatment {
	from := c.Original.From.Addr()
	switch {
	case m.LostOnly && !m.HasLost(c.Reply.To.Addr()):
		return keep
	case c.TranslatesSource():
		return deleteEntry
	case m.Removed && (m.HasLost(from) || slices.Contains(m.Own, from)):
		return deleteThenEndSocket
	case m.HasLost(from):
		return endSocketThenDelete
	case slices.Contains(m.Own, from):
		return endSocket
	case slices.ContainsFunc(m.Fixed, func(p netip.Prefix) bool { return p.Contains(from) }):
		return keep
	}
	return clearMark
}

// move moves the connections of a walk, and counts them at the indexes of their moves.
func (k walk) move(moved []Moved) (err error) {
	var w rtnl.ConnectionWriter
	own, written, lost := map[int][]rtnl.Flow{}, map[int]int{}, []rtnl.Flow{}
	failed := rtnl.EachMarked(k.filter, func(c rtnl.TrackedConnection) {
		i, how := k.of(c.Connection)
		switch how {
		case keep:
			return
		case deleteEntry:
			w.Delete(c)
		case deleteThenEndSocket:
			own[i] = append(own[i], c.Original)
			w.Delete(c)
		case clearMark:
			w.SetMark(c, 0, k.mask)
		case endSocket, endSocketThenDelete:
			if own[i] = append(own[i], c.Original); how == endSocket {
				return
			}
			lost = append(lost, c.Original)
		}
		written[i]++
	})
	err = errors.Join(err, failed, w.Close())
	ended := time.Now()
	for i, flows := range own {
		n, failed := rtnl.DestroyTCPSockets(flows)
		if moved[i].Sockets, err = n, errors.Join(err, failed); n > 0 {
			moved[i].Written = time.Now()
		}
	}
	if len(lost) > 0 { // the last packet of a socket that ends has left by the uplink, as its connection was known
		err = errors.Join(err, rtnl.DeleteConnections(lost))
		ended = time.Now()
	}
	for i, n := range written {
		if moved[i].Connections = n; moved[i].Written.Before(ended) {
			moved[i].Written = ended
		}
	}
	return err
}

// connectionCount returns the number of tracked connections, and bucketCount that of the buckets of the kernel's table of them.
func connectionCount() int { return conntrackSysctl("nf_conntrack_count") }
func bucketCount() int     { return conntrackSysctl("nf_conntrack_buckets") }

func conntrackSysctl(name string) int {
	n, _ := procfs.Sysctl("net/netfilter/" + name)
	return int(n)
}
