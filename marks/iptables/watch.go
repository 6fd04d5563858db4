package iptables

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"replypath/marks/nfnetlink"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Process is one that changed nftables. The zero Process is not known. Its number is that of the host's first process
// namespace, so it says nothing about our own.
type Process struct {
	Name       string
	PID        int
	Generation uint32 // of nftables, after its change
}

// Watch tells of every change to nftables, with the process that made it, until the context ends. It begins with an
// unknown one, when it has subscribed; lost events are told so too. The legacy backend announces nothing.
func Watch(ctx context.Context, changed func(Process)) error {
	for {
		if err := subscribe(ctx, changed); !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			return err
		}
	}
}

// subscribe tells of changes until events are lost, of which it tells by ENOBUFS. What the kernel drops after that it
// drops in silence, until all that waits is read.
func subscribe(ctx context.Context, changed func(Process)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("open a netfilter socket: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "nftables events")
	defer socket.Close()
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}); err != nil {
		return fmt.Errorf("subscribe to nftables: %w", err)
	}
	defer context.AfterFunc(ctx, func() { socket.Close() })()
	changed(Process{})
	buffer := make([]byte, 1<<16)
	for {
		n, err := socket.Read(buffer)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("receive from nftables: %w", err)
		}
		for m := range nfnetlink.Messages(buffer[:n]) {
			if binary.NativeEndian.Uint16(m[4:]) == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN {
				changed(parseProcess(m[unix.SizeofNlMsghdr+4:]))
			}
		}
	}
}

// parseProcess reads the process out of a new generation's attributes.
func parseProcess(generation []byte) (p Process) {
	p.Name = unix.ByteSliceToString(nlattr.Find(generation, unix.NFTA_GEN_PROC_NAME))
	if id := nlattr.Find(generation, unix.NFTA_GEN_PROC_PID); len(id) == 4 {
		p.PID = int(binary.BigEndian.Uint32(id))
	}
	if id := nlattr.Find(generation, unix.NFTA_GEN_ID); len(id) == 4 {
		p.Generation = binary.BigEndian.Uint32(id)
	}
	return p
}
