package rtnl

import (
	"context"
	"errors"
	"fmt"

	"replypath/uplinks/egress"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// WatchNeighbours calls notify for each change of the neighbour table of the network namespace of the calling thread, until the
// context ends. It first calls begun, when the subscription is active, and again after events were lost.
func WatchNeighbours(ctx context.Context, begun func(), notify func(egress.Neighbour)) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_NEIGH)
	if err != nil {
		return fmt.Errorf("subscribe to neighbours: %w", err)
	}
	defer s.Close()
	defer context.AfterFunc(ctx, s.Close)()
	if err := s.SetReceiveBufferSize(receiveBuffer, true); err != nil {
		return fmt.Errorf("enlarge the buffer of neighbour events: %w", err)
	}
	begun()
	for {
		msgs, _, err := s.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			begun()
			continue
		case err != nil:
			return fmt.Errorf("receive events of neighbours: %w", err)
		}
		for _, m := range msgs {
			if m.Header.Type != unix.RTM_NEWNEIGH {
				continue
			}
			if n, ok := parseNeighbour(m.Data); ok {
				notify(n)
			}
		}
	}
}
