package rtnl

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Change is something that happened in the kernel and may concern us.
type Change struct {
	What string
	Port uint32            // netlink port of who did it, most often a process id; 0 when it is the kernel or not told
	Link uplinks.LinkState // when it is about a link: as it is now
	At   uplinks.Place
}

// backlog is how many bytes of events may wait. When there is no room the kernel drops them and says ENOBUFS.
const backlog = 8 << 20

// Watch tells of changes until the context ends. It begins with one, so that whoever reads the kernel at every change
// has subscribed before the first read. Lost events are a change too. Routes that cannot concern us are not told: a
// routing daemon may change thousands a second.
func (h *Handle) Watch(ctx context.Context, changed func(Change)) error {
	for what := "watching"; ; what = "events were lost" {
		if err := h.subscribe(ctx, what, changed); !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			return err
		}
	}
}

// subscribe tells of changes until events are lost, of which it tells by ENOBUFS. The kernel says so once, and is silent
// about what it drops after that, until all that waits is read: only a new socket hears everything again.
func (h *Handle) subscribe(ctx context.Context, first string, changed func(Change)) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF, unix.RTNLGRP_IPV6_IFINFO, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return fmt.Errorf("subscribe to rtnetlink: %w", err)
	}
	defer s.Close()
	defer context.AfterFunc(ctx, s.Close)()
	if err := s.SetReceiveBufferSize(backlog, true); err != nil {
		return fmt.Errorf("enlarge the rtnetlink buffer: %w", err)
	}
	changed(Change{What: first})
	for {
		msgs, _, err := s.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("receive from rtnetlink: %w", err)
		}
		for _, m := range msgs {
			if what, at := h.concern(m); what != "" {
				changed(Change{What: what, Port: m.Header.Pid, Link: linkState(m), At: at})
			}
		}
	}
}

// linkState is how the link is that a message is about.
func linkState(m syscall.NetlinkMessage) (is uplinks.LinkState) {
	switch m.Header.Type {
	case unix.RTM_NEWLINK:
		return linkInfo(m.Data)
	case unix.RTM_DELLINK:
		return uplinks.LinkState{Name: linkInfo(m.Data).Name}
	}
	return is
}

// linkInfo is what a message says of its link. Bridges send messages of their own kind about their ports, and IPv6 about
// whether it is spoken: they say nothing of it.
func linkInfo(data []byte) (is uplinks.LinkState) {
	if len(data) < unix.SizeofIfInfomsg {
		return is
	}
	info := nl.DeserializeIfInfomsg(data)
	if info.Family != unix.AF_UNSPEC {
		return is
	}
	for kind, v := range attributes(data[unix.SizeofIfInfomsg:]) {
		if kind == unix.IFLA_IFNAME {
			is.Name = unix.ByteSliceToString(v)
		}
	}
	is.Up, is.Carrier = info.Flags&unix.IFF_UP != 0, info.Flags&unix.IFF_LOWER_UP != 0
	return is
}
