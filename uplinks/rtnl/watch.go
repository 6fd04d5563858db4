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

// Event is something that happened in the kernel and may concern us.
type Event struct {
	Subject string
	Port    uint32            // netlink port of who did it, most often a process id; 0 when it is the kernel or not told
	Link    uplinks.LinkState // when it is about a link: as it is now
	Scope   uplinks.ChangedScope
}

// receiveBuffer is how many bytes of events may wait. When there is no room the kernel drops them and says ENOBUFS.
const receiveBuffer = 8 << 20

// Watch tells of changes until the context ends. It begins with one, so that whoever reads the kernel at every change
// has subscribed before the first read. Lost events are a change too. Routes that cannot concern us are not told: a
// routing daemon may change thousands a second.
func (h *Handle) Watch(ctx context.Context, notify func(Event)) error {
	for subject := "watching"; ; subject = "events were lost" {
		if err := h.subscribe(ctx, subject, notify); !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			return err
		}
	}
}

// subscribe tells of changes until events are lost, of which it tells by ENOBUFS. The kernel says so once, and is silent
// about what it drops after that, until all that waits is read: only a new socket hears everything again.
func (h *Handle) subscribe(ctx context.Context, first string, notify func(Event)) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF, unix.RTNLGRP_IPV6_IFINFO, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return fmt.Errorf("subscribe to rtnetlink: %w", err)
	}
	defer s.Close()
	defer context.AfterFunc(ctx, s.Close)()
	if err := s.SetReceiveBufferSize(receiveBuffer, true); err != nil {
		return fmt.Errorf("enlarge the rtnetlink buffer: %w", err)
	}
	notify(Event{Subject: first})
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
			if subject, scope := h.classify(m); subject != "" {
				notify(Event{Subject: subject, Port: m.Header.Pid, Link: linkStateOf(m), Scope: scope})
			}
		}
	}
}

// linkStateOf is how the link is that a message is about.
func linkStateOf(m syscall.NetlinkMessage) (state uplinks.LinkState) {
	switch m.Header.Type {
	case unix.RTM_NEWLINK:
		return parseLink(m.Data)
	case unix.RTM_DELLINK:
		return uplinks.LinkState{Name: parseLink(m.Data).Name}
	}
	return state
}

// parseLink is what a message says of its link. Bridges send messages of their own kind about their ports, and IPv6 about
// whether it is spoken: they say nothing of it.
func parseLink(data []byte) (state uplinks.LinkState) {
	if len(data) < unix.SizeofIfInfomsg {
		return state
	}
	info := nl.DeserializeIfInfomsg(data)
	if info.Family != unix.AF_UNSPEC {
		return state
	}
	for attrType, v := range attrs(data[unix.SizeofIfInfomsg:]) {
		if attrType == unix.IFLA_IFNAME {
			state.Name = unix.ByteSliceToString(v)
		}
	}
	state.Up, state.Carrier = info.Flags&unix.IFF_UP != 0, info.Flags&unix.IFF_LOWER_UP != 0
	return state
}
