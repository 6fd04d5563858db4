package rtnl

import (
	"context"
	"errors"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ReadShares fills in what rtnetlink tells of some links and tables, and asks the kernel for nothing else. Other links
// have the names that they had at the last Read.
func (h *Handle) ReadShares(ctx context.Context, only []uplinks.Share, facts *uplinks.Facts, have *uplinks.State) error {
	for _, s := range only {
		if err := h.readLink(ctx, s.Link, facts, have); err != nil {
			return err
		}
	}
	for _, f := range uplinks.Families {
		if f == uplinks.IPv6 && !facts.IPv6 {
			continue
		}
		for name, l := range facts.Links {
			err := h.readRoutes(ctx, f, netlink.Route{LinkIndex: l.Index}, facts, nil)
			if errors.Is(err, unix.ENODEV) {
				delete(facts.Links, name) // it went meanwhile
				continue
			}
			if err != nil {
				return err
			}
		}
		for _, s := range only {
			if s.Table == 0 {
				continue
			}
			// A table that never had a route is not there (ENOENT).
			err := h.readRoutes(ctx, f, netlink.Route{Table: int(s.Table)}, nil, have)
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
	}
	return nil
}

// readLink reads a link, if it is there and has not been read yet.
func (h *Handle) readLink(ctx context.Context, name string, facts *uplinks.Facts, have *uplinks.State) error {
	if _, known := facts.Links[name]; known {
		return nil
	}
	var l netlink.Link
	err := dump(ctx, "link "+name, func() (err error) { l, err = h.h.LinkByName(name); return err })
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return err
	}
	of, err := h.readAddresses(ctx, l.Attrs().Index)
	if err != nil {
		return err
	}
	h.addLink(facts, have, l.Attrs(), of)
	return nil
}
