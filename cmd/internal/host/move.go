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

// MoveConnections moves the connections of an uplink. Those with a translated source cannot go on by another uplink, whose address
// is another one: conntrack forgets them, and the next packet begins anew. Those without lose their mark, and their next packet
// chooses. The host's own TCP connections have the address of the uplink: their sockets are ended. Safe for concurrent use.
func (h *Host) MoveConnections(m uplinks.Move) (moved Moved, err error) {
	filter := rtnl.MarkFilter{Family: m.Family, Mark: m.Mark, Mask: m.Mask}
	err = h.flows.without(filter, func() (err error) {
		moved, err = moveConnections(m, filter)
		return err
	})
	return moved, err
}

// moveConnections moves the connections of the filter.
func moveConnections(m uplinks.Move, filter rtnl.MarkFilter) (moved Moved, err error) {
	moved.Connections, err = deleteTranslated(filter)
	rest, failed := rtnl.MarkedConnections(filter)
	err = errors.Join(err, failed)
	var unmark []rtnl.TrackedConnection
	var own []rtnl.Flow
	for _, c := range rest {
		from := c.Original.From.Addr()
		switch {
		case c.TranslatesSource():
			// It began after the deletion; the second sweep finds it.
		case slices.Contains(m.Own, from):
			own = append(own, c.Original)
		case !slices.ContainsFunc(m.Fixed, func(p netip.Prefix) bool { return p.Contains(from) }):
			unmark = append(unmark, c)
		}
	}
	moved.Connections += len(unmark)
	err = errors.Join(err, rtnl.SetMark(unmark, 0, m.Mask))
	for _, f := range own {
		if f.Proto != unix.IPPROTO_TCP {
			continue
		}
		ended, failed := rtnl.DestroyTCPSocket(f)
		if err = errors.Join(err, failed); ended {
			moved.Sockets++
		}
	}
	return moved, err
}

// maxCounted is the number of tracked connections up to which those to be deleted are counted one by one, which takes a
// millisecond for a thousand.
const maxCounted = 20000

// deleteTranslated deletes the connections of the filter whose source is translated, and returns how many those were, as the kernel
// does not say it. Of many it returns by how many all connections became fewer.
func deleteTranslated(filter rtnl.MarkFilter) (n int, err error) {
	before := connectionCount()
	if before > maxCounted {
		err = rtnl.DeleteTranslated(filter)
		return max(0, before-connectionCount()), err
	}
	all, err := rtnl.MarkedConnections(filter)
	for _, c := range all {
		if c.TranslatesSource() {
			n++
		}
	}
	return n, errors.Join(err, rtnl.DeleteTranslated(filter))
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
		all, err := rtnl.MarkedConnections(filter)
		return errors.Join(err, rtnl.SetMark(all, to, mask))
	})
}
