package netfilter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Watch calls changed for every transaction of nftables in this network namespace, with the process that made it, and with the
// zero Process for a moved connection of the flow table, until the context ends. The first call, with the zero Process, follows the subscription; lost events also cause one.
func Watch(ctx context.Context, changed func(marks.Process)) error {
	for {
		if err := subscribe(ctx, changed); !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			return err
		}
	}
}

// watchBuffer has room for the events of several proofs, in bytes: each makes and deletes a table of some 200 rules.
const watchBuffer = 4 << 20

// subscribe reports transactions until events are lost, and then returns ENOBUFS: on the same socket the kernel drops
// further events without notice until all queued ones are read.
func subscribe(ctx context.Context, changed func(marks.Process)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("open a netfilter socket: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "nftables events")
	defer socket.Close()
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}); err != nil {
		return fmt.Errorf("subscribe to nftables: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer)
	if err == unix.EPERM { // in a user namespace, where the sysctl rmem_max is the limit
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, watchBuffer)
	}
	if err != nil {
		return fmt.Errorf("set the buffer for events of nftables: %w", err)
	}
	defer context.AfterFunc(ctx, func() { socket.Close() })()
	changed(marks.Process{})
	buffer, lost := make([]byte, 1<<16), false // lost: the transaction deleted the table of replypath
	for {
		n, err := socket.Read(buffer)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("receive from nftables: %w", err)
		}
		for m := range Messages(buffer[:n]) {
			switch attributes := m[unix.SizeofNlMsghdr+4:]; binary.NativeEndian.Uint16(m[4:]) {
			case unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_DELTABLE:
				lost = lost || isOwnTable(m[unix.SizeofNlMsghdr], attributes)
			case unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE:
				lost = lost && !isOwnTable(m[unix.SizeofNlMsghdr], attributes)
			case unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN:
				p := parseProcess(attributes)
				p.LostTable, lost = lost, false
				changed(p)
			case unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWOBJ:
				if hasMovedFlow(attributes) {
					changed(marks.Process{})
				}
			}
		}
	}
}

// isOwnTable reports whether a table of a family (NFPROTO_*), by its attributes, is that of replypath.
func isOwnTable(family uint8, table []byte) bool {
	return family == unix.NFPROTO_INET && HasString(table, unix.NFTA_TABLE_NAME, marks.NFTTable)
}

// parseProcess reads the process from the attributes of NFT_MSG_NEWGEN.
func parseProcess(generation []byte) marks.Process {
	return marks.Process{
		Name:       FindString(generation, unix.NFTA_GEN_PROC_NAME),
		PID:        int(FindUint32(generation, unix.NFTA_GEN_PROC_PID)),
		Generation: FindUint32(generation, unix.NFTA_GEN_ID),
	}
}

// quotaFlags and quotaDepleted say that a quota is used up (linux/netfilter/nf_tables.h, NFTA_QUOTA_FLAGS, NFT_QUOTA_F_DEPLETED).
const (
	quotaFlags    = 2
	quotaDepleted = 2
)

// hasMovedFlow reports whether the object is the quota of the flow table that a packet has used up.
func hasMovedFlow(object []byte) bool {
	return HasString(object, unix.NFTA_OBJ_TABLE, marks.FlowTableName) && FindUint32(object, unix.NFTA_OBJ_TYPE) == unix.NFT_OBJECT_QUOTA &&
		FindUint32(nlattr.Find(object, unix.NFTA_OBJ_DATA), quotaFlags)&quotaDepleted != 0
}
