package host

import (
	"errors"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// Moved counts the connections that a move ended or moved.
type Moved struct {
	Connections int // their entries were deleted or lost their mark: the next packet takes another uplink
	Sockets     int // of this host: their programs got an error
}

// MoveConnections carries out moves of one uplink, in one or both families, and returns what each moved. Connections with a translated
// source cannot go on by another uplink, whose address is another one: conntrack forgets them, and the next packet begins anew. Those
// without lose their mark, and their next packet chooses. The host's own TCP connections have the address of the uplink: their sockets
// are ended. Those with an address that is lost are forgotten too, so that packets that follow are translated. Safe for concurrent use.
func (h *Host) MoveConnections(moves ...uplinks.Move) (moved []Moved, err error) {
	if len(moves) == 0 {
		return nil, nil
	}
	filter := rtnl.MarkFilter{Family: moves[0].Family, Mark: moves[0].Mark, Mask: moves[0].Mask}
	if len(moves) > 1 {
		filter.Family = 0
	}
	err = h.flows.without(filter, func() (err error) {
		moved, err = moveConnections(moves, filter)
		return err
	})
	return moved, err
}

// maxListed is the number of tracked connections up to which those with a translated source are deleted one by one, which takes two
// microseconds for each. Of more the kernel deletes them by one request. For that it walks its whole table, which takes milliseconds even
// if the table is empty, and waits while another one is walked, such as that of a network namespace which ends.
const maxListed = 20000

// moveConnections moves the connections of the filter.
func moveConnections(moves []uplinks.Move, filter rtnl.MarkFilter) (moved []Moved, err error) {
	moved = make([]Moved, len(moves))
	for i, m := range moves {
		if before := connectionCount(); before > maxListed && !m.LostOnly {
			err = errors.Join(err, rtnl.DeleteTranslated(rtnl.MarkFilter{Family: m.Family, Mark: m.Mark, Mask: m.Mask}))
			moved[i].Connections = max(0, before-connectionCount())
		}
	}
	var w rtnl.ConnectionWriter
	own, lost := make([][]rtnl.Flow, len(moves)), []rtnl.Flow{}
	failed := rtnl.EachMarked(filter, func(c rtnl.TrackedConnection) {
		i := slices.IndexFunc(moves, func(m uplinks.Move) bool { return m.Family == uplinks.FamilyOf(c.Original.To.Addr()) })
		if i < 0 {
			return
		}
		from := c.Original.From.Addr()
		switch {
		case moves[i].LostOnly && !moves[i].HasLost(c.Reply.To.Addr()):
			return
		case c.TranslatesSource():
			w.Delete(c)
		case moves[i].HasLost(from):
			own[i], lost = append(own[i], c.Original), append(lost, c.Original)
		case slices.Contains(moves[i].Own, from):
			own[i] = append(own[i], c.Original)
			return
		case slices.ContainsFunc(moves[i].Fixed, func(p netip.Prefix) bool { return p.Contains(from) }):
			return
		default:
			w.SetMark(c, 0, filter.Mask)
		}
		moved[i].Connections++
	})
	err = errors.Join(err, failed, w.Close())
	for i := range moves {
		n, failed := endSockets(own[i])
		moved[i].Sockets, err = n, errors.Join(err, failed)
	}
	// The last packet of a socket that ends has left by the uplink, as its connection was known.
	return moved, errors.Join(err, rtnl.DeleteConnections(lost))
}

// endSockets ends the host's own TCP connections of the flows, and returns how many there were.
func endSockets(flows []rtnl.Flow) (n int, err error) {
	for _, f := range flows {
		if f.Proto != unix.IPPROTO_TCP {
			continue
		}
		ended, failed := rtnl.DestroyTCPSocket(f)
		if err = errors.Join(err, failed); ended {
			n++
		}
	}
	return n, err
}

// connectionCount returns the number of tracked connections.
func connectionCount() int {
	n, _ := procfs.Sysctl("net/netfilter/nf_conntrack_count")
	return int(n)
}

// MoveMark gives the connections with a mark another one. Safe for concurrent use.
func (h *Host) MoveMark(from, to marks.Mark, mask marks.Mask) error {
	filter := rtnl.MarkFilter{Mark: from, Mask: mask}
	return h.flows.without(filter, func() error {
		var w rtnl.ConnectionWriter
		err := rtnl.EachMarked(filter, func(c rtnl.TrackedConnection) { w.SetMark(c, to, mask) })
		return errors.Join(err, w.Close())
	})
}
