package main

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long what happens at once may take.
const patience = 10 * time.Second

// connection is an open TCP connection from the client to the gateway: both ends, and where the client's bytes and the
// gateway's have come to.
type connection struct {
	client, host           netip.AddrPort
	sequence, acknowledged uint32
}

// connect opens a connection with real sockets, so that the kernel's is as it is in life. The client's end is then
// forgotten without a packet; the gateway's stays open.
func (g *gateway) connect(f family) connection {
	c := connection{host: netip.AddrPortFrom(f.own(g.lastIndex()), hostPort)}
	listener := listen(g.host, c.host)
	defer unix.Close(listener)
	g.client.SetSysctl("net.ipv4.tcp_timestamps", "0") // or each segment would need the right one
	fd, err := dial(g.client, f.client(), c.host)
	must(err, "%s", g.name)
	answered, _, err := unix.Accept(listener)
	must(err, "%s: accept", g.name)
	_, err = unix.Write(fd, []byte("x"))
	must(err, "%s: write", g.name)
	_, err = unix.Read(answered, make([]byte, 1))
	must(err, "%s: read", g.name)
	must(c.forget(fd), "%s: forget the client's end", g.name)
	return c
}

// forget notes where the client's end has come to and closes it in repair mode: nothing is sent.
func (c *connection) forget(fd int) error {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	c.client = addrPort(name)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if c.sequence, err = reached(fd, sendQueue); err != nil {
		return err
	}
	if c.acknowledged, err = reached(fd, receiveQueue); err != nil {
		return err
	}
	return unix.Close(fd)
}

// Queues of a socket, for TCP_REPAIR_QUEUE.
const (
	receiveQueue = 1
	sendQueue    = 2
)

// reached returns the next sequence number of one of the socket's queues.
func reached(fd, queue int) (uint32, error) {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, queue); err != nil {
		return 0, fmt.Errorf("choose a queue: %w", os.NewSyscallError("setsockopt", err))
	}
	n, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ)
	return uint32(n), os.NewSyscallError("getsockopt", err)
}
