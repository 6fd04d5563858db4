package rtnl

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"replypath/marks/nlattr"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Event is a change in the kernel that may concern replypath.
type Event struct {
	Subject string
	Port    uint32            // the netlink port of the writer, usually its process ID; 0 for the kernel, or unknown
	Link    uplinks.LinkState // the state of the link when the event is about one
	Scope   uplinks.ChangedScope
	Foreign bool // it changes nothing of replypath's, but may change where replies go
}

// receiveBuffer is the size of the queue of events in bytes. When it is full the kernel drops events and reports ENOBUFS.
const receiveBuffer = 8 << 20

// Watch calls notify for each event until the context ends. The first event only says that the subscription is active, so
// that a caller who reads the kernel after each event misses nothing; so does the event after lost events. Events about
// routes that cannot concern replypath are Foreign, as are those about traffic control: a routing daemon may cause thousands
// per second.
func (h *Handle) Watch(ctx context.Context, notify func(Event)) error {
	for subject := "watching"; ; subject = "events were lost" {
		if err := h.subscribe(ctx, subject, notify); !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			return err
		}
	}
}

// subscribe calls notify for each event until events are lost, which it reports as ENOBUFS. The kernel reports a loss once,
// and then drops events silently until the queue is empty: only a new socket receives everything again.
func (h *Handle) subscribe(ctx context.Context, first string, notify func(Event)) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF, unix.RTNLGRP_IPV6_IFINFO, unix.RTNLGRP_NEXTHOP, unix.RTNLGRP_TC)
	if err != nil {
		return fmt.Errorf("subscribe to rtnetlink: %w", err)
	}
	return receiveUntilLoss(ctx, s, func() { notify(Event{Subject: first}) }, func(m syscall.NetlinkMessage) {
		if subject, scope := h.classify(m); subject != "" {
			notify(Event{Subject: subject, Port: m.Header.Pid, Link: linkStateOf(m), Scope: scope})
		} else if subject := foreignSubject(m); subject != "" {
			notify(Event{Subject: subject, Foreign: true})
		}
	})
}

// receiveUntilLoss calls begun, and then handle with each message of the socket, until the context ends or events are lost
// (ENOBUFS), and closes the socket.
func receiveUntilLoss(ctx context.Context, s *nl.NetlinkSocket, begun func(), handle func(syscall.NetlinkMessage)) error {
	defer s.Close()
	defer context.AfterFunc(ctx, s.Close)()
	if err := s.SetReceiveBufferSize(receiveBuffer, true); err != nil {
		return fmt.Errorf("enlarge the rtnetlink buffer: %w", err)
	}
	begun()
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
			handle(m)
		}
	}
}

// linkStateOf returns the state of the link that an event is about; zero for other events.
func linkStateOf(m syscall.NetlinkMessage) (state uplinks.LinkState) {
	switch m.Header.Type {
	case unix.RTM_NEWLINK:
		return parseLink(m.Data)
	case unix.RTM_DELLINK:
		return uplinks.LinkState{Name: parseLink(m.Data).Name}
	}
	return state
}

// parseLink decodes the state of a link. Messages of the bridge about its ports, and of IPv6 about its use on a link, have
// another family and no state.
func parseLink(data []byte) (state uplinks.LinkState) {
	if len(data) < unix.SizeofIfInfomsg {
		return state
	}
	info := nl.DeserializeIfInfomsg(data)
	if info.Family != unix.AF_UNSPEC {
		return state
	}
	for attrType, v := range nlattr.All(data[unix.SizeofIfInfomsg:]) {
		if attrType == unix.IFLA_IFNAME {
			state.Name = unix.ByteSliceToString(v)
		}
	}
	state.Up, state.Carrier = info.Flags&unix.IFF_UP != 0, info.Flags&unix.IFF_LOWER_UP != 0
	return state
}
