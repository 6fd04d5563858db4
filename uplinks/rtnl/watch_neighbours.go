package rtnl

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"replypath/uplinks/egress"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// WatchNeighbours calls notify for each change of the neighbour table of the network namespace of the calling thread, until the
// context ends. A deleted entry is in no state. It first calls begun, when the subscription is active, and again after events were lost.
func WatchNeighbours(ctx context.Context, begun func(), notify func(egress.Neighbour)) error {
	for {
		s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_NEIGH)
		if err != nil {
			return fmt.Errorf("subscribe to neighbours: %w", err)
		}
		err = receiveUntilLoss(ctx, s, begun, func(m syscall.NetlinkMessage) {
			n, ok := parseNeighbour(m.Data)
			if m.Header.Type == unix.RTM_DELNEIGH {
				n.State = 0
			}
			if ok {
				notify(n)
			}
		})
		if !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			return err
		}
	}
}
