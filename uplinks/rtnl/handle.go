// Package rtnl reads links, routes and rules for package uplinks from the kernel, and writes them, by rtnetlink(7). It also reads and
// changes connections (conntrack), reads and ends sockets (sock_diag(7)), and makes the kernel resolve neighbours. test/house lists who
// may call what writes. It is the only importer of the netlink library.
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

// The library reads this variable in each request: it is set once, before any socket is open.
func init() { nl.EnableErrorMessageReporting = true }

// Handle reads and writes in the network namespace in which it was opened. All writes use one socket. Safe for one reader
// and one Watch at the same time.
type Handle struct {
	reader          *nl.SocketHandle // strict: otherwise the kernel ignores filters, and dumps cached routes too
	writer          *writer
	tableBase       atomic.Uint32  // also read by Watch
	linkNames       map[int]string // by index, as of the last read
	linkIndexes     map[string]int // by name
	trackedNexthops nexthopSet
	defaultTables   map[int][]uplinks.Table // by the index of a link: the tables except main with a default route, as of the last Read
}

// Open opens a handle. The tables base + 1 to base + 255 are ours: it also reads foreign routes in them, because they may
// conflict with ours.
func Open(base uplinks.Table) (*Handle, error) {
	r, err := openReader()
	if err != nil {
		return nil, err
	}
	w, err := openWriter()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("open a netlink socket to write to: %w", err)
	}
	handle := &Handle{reader: r, writer: w, linkNames: map[int]string{}, linkIndexes: map[string]int{}, defaultTables: map[int][]uplinks.Table{}}
	handle.SetTableBase(base)
	return handle, nil
}

// openReader opens a socket on which the kernel checks requests strictly (NETLINK_GET_STRICT_CHK).
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

// request returns a request that uses the socket of the handle.
func (h *Handle) request(kind, flags int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: h.reader}
	return req
}

// OwnsPort reports whether the netlink port is that of the socket by which the handle writes.
func (h *Handle) OwnsPort(port uint32) bool { return h.writer.port == port }

// SetTableBase changes the base that Open got. Safe for concurrent use.
func (h *Handle) SetTableBase(base uplinks.Table) { h.tableBase.Store(uint32(base)) }

// Close closes the sockets.
func (h *Handle) Close() {
	h.reader.Close()
	h.writer.close()
}

// Read reads the links with their addresses and groups, and the foreign rules and routes, into facts, and the rules and
// routes that are ours into have.
func (h *Handle) Read(ctx context.Context, facts *uplinks.Facts, have *uplinks.State) error {
	if err := h.readLinks(ctx, facts, have); err != nil {
		return err
	}
	clear(h.defaultTables)
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
	return nil
}

// maxDumpAttempts bounds how often a dump is repeated that a concurrent change interrupted.
const maxDumpAttempts = 20

// dump repeats read until its result is consistent (NLM_F_DUMP_INTR), unless the context has ended. The subject is for errors.
func dump(ctx context.Context, subject string, read func() error) error {
	err := ctx.Err()
	if err != nil {
		return err
	}
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

// addressFamily returns AF_INET or AF_INET6.
func addressFamily(f uplinks.Family) int {
	if f == uplinks.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}
