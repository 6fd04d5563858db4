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
// context ends. It first calls begun, when the subscription is active, and again after events were lost.
func WatchNeighbours(ctx context.Context, begun func(), notify func(egress.Neighbour)) error {
	for {
		s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_NEIGH)
		if err != nil {
			return fmt.Errorf("subscribe to neighbours: %w", err)
		}
		err = receiveUntilLoss(ctx, s, begun, func(m syscall.NetlinkMessage) {
			if n, ok := parseNeighbour(m.Data); ok && m.Header.Type == unix.RTM_NEWNEIGH {
				notify(n)
			}
		})
		if !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			return err
		}
	}
}
