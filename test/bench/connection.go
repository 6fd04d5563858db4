package main

import (
	"context"
	"fmt"
	"net"
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
// forgotten without a packet; the gateway's stays open as long as its world.
func (g *gateway) connect(f family) connection {
	to := netip.AddrPortFrom(f.own(g.lastIndex()), hostPort)
	var listener net.Listener
	var err error
	silent := net.ListenConfig{KeepAlive: -1}
	g.host.Do(func() { listener, err = silent.Listen(context.Background(), "tcp", to.String()) })
	must(err, "%s: listen", g.name)
	defer listener.Close()
	g.client.SetSysctl("net.ipv4.tcp_timestamps", "0") // or each segment would need the right one
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: f.client().AsSlice()}, Timeout: patience}
	var asked net.Conn
	g.client.Do(func() { asked, err = from.Dial("tcp", to.String()) })
	must(err, "%s: connect to %s", g.name, to)
	answered, err := listener.Accept()
	must(err, "%s: accept", g.name)
	_, err = asked.Write([]byte("x"))
	must(err, "%s: write", g.name)
	_, err = answered.Read(make([]byte, 1))
	must(err, "%s: read", g.name)
	g.kept = append(g.kept, answered)
	c := connection{client: asked.LocalAddr().(*net.TCPAddr).AddrPort(), host: to}
	must(c.forget(asked.(*net.TCPConn)), "%s: forget the client's end", g.name)
	return c
}

// forget notes where the client's end has come to and closes it in repair mode: nothing is sent.
func (c *connection) forget(end *net.TCPConn) error {
	raw, err := end.SyscallConn()
	if err != nil {
		return err
	}
	controlled := raw.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1); err != nil {
			return
		}
		if c.sequence, err = reached(int(fd), sendQueue); err != nil {
			return
		}
		c.acknowledged, err = reached(int(fd), receiveQueue)
	})
	if err == nil {
		err = controlled
	}
	if err != nil {
		return err
	}
	return end.Close()
}

// Queues of a socket, for TCP_REPAIR_QUEUE.
const (
	receiveQueue = 1
	sendQueue    = 2
)

// reached is the next sequence number of one of the socket's queues.
func reached(fd, queue int) (uint32, error) {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, queue); err != nil {
		return 0, fmt.Errorf("choose a queue: %w", os.NewSyscallError("setsockopt", err))
	}
	n, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ)
	return uint32(n), os.NewSyscallError("getsockopt", err)
}
