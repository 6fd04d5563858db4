// Package rtnl carries links, routes and rules between package uplinks and the kernel, by rtnetlink(7). It is the only
// importer of the netlink library.
package rtnl

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Handle speaks to the kernel of the network namespace in which it was opened. All that it writes goes by one socket.
type Handle struct {
	reader          *nl.SocketHandle // strict: on another the kernel heeds no filter, and tells cached routes too
	writer          *writer
	tableBase       atomic.Uint32  // read by Watch too
	linkNames       map[int]string // of links, by their index, as they were last read
	linkIndexes     map[string]int // the same the other way round
	trackedNexthops nexthopSet
	defaultTables   map[string][]uplinks.Table // beside main, in which a link had default routes at the last Read
}

// Open opens a handle. Routes of others in the tables from base to base + 255 are observed too, because they may stand
// in the way of ours.
func Open(base uplinks.Table) (*Handle, error) {
	nl.EnableErrorMessageReporting = true
	r, err := openReader()
	if err != nil {
		return nil, err
	}
	w, err := openWriter()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("open a netlink socket to write to: %w", err)
	}
	handle := &Handle{reader: r, writer: w, linkNames: map[int]string{}, linkIndexes: map[string]int{}, defaultTables: map[string][]uplinks.Table{}}
	handle.SetTableBase(base)
	return handle, nil
}

// openReader opens a socket on which the kernel takes a question at its word (NETLINK_GET_STRICT_CHK).
func openReader() (*nl.SocketHandle, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	err = unix.SetsockoptInt(s.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	if err == nil {
		err = s.SetReceiveTimeout(&nl.SocketTimeoutTv)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("make the netlink socket strict (Linux 4.20 or later): %w", err)
	}
	return &nl.SocketHandle{Socket: s}, nil
}

// request is a question that goes by the handle's socket.
func (h *Handle) request(kind, flags int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: h.reader}
	return req
}

// OwnsPort reports whether a netlink port is one that the handle writes by.
func (h *Handle) OwnsPort(port uint32) bool { return h.writer.port == port }

// SetTableBase observes routes of others in other tables than at Open from now on.
func (h *Handle) SetTableBase(base uplinks.Table) { h.tableBase.Store(uint32(base)) }

// Close closes the sockets.
func (h *Handle) Close() {
	h.reader.Close()
	h.writer.close()
}

// Read fills in what rtnetlink tells: links with their addresses and routes, the routes and rules that are ours, and
// the groups of links.
func (h *Handle) Read(ctx context.Context, facts *uplinks.Facts, have *uplinks.State) error {
	if err := h.readLinks(ctx, facts, have); err != nil {
		return err
	}
	for _, f := range uplinks.Families {
		if f == uplinks.IPv6 && !facts.IPv6 {
			continue
		}
		if err := h.readRoutes(ctx, f, routeQuery{}, facts, have); err != nil {
			return err
		}
		if err := h.readRules(ctx, f, facts, have); err != nil {
			return err
		}
	}
	h.rememberDefaultTables(facts.Links)
	return nil
}

// maxDumpAttempts bounds how often a dump that others' changes interrupted is asked for again.
const maxDumpAttempts = 20

// dump repeats read until its answer is whole.
func dump(ctx context.Context, subject string, read func() error) error {
	var err error
	for range maxDumpAttempts {
		if err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", subject, err)
	}
	return nil
}

func addressFamily(f uplinks.Family) int {
	if f == uplinks.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}
