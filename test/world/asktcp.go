package world

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// dial opens a TCP connection from the host.
func (h *Host) dial(q Question) (c *net.TCPConn, err error) {
	ctx, stop := context.WithTimeout(h.world.ctx, q.patience())
	defer stop()
	dialer := net.Dialer{}
	dialer.SetMultipathTCP(false)
	if local, ok := q.local(); ok {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(local)
	}
	var conn net.Conn
	h.Do(func() { conn, err = dialer.DialContext(ctx, network("tcp", q.To.Addr()), q.To.String()) })
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (h *Host) askTCP(q Question) (a Answer) {
	c, err := h.dial(q)
	if q.Kind == AskClosedTCP {
		return closedTCP(q, c, err)
	}
	if err != nil {
		a.Err = err
		return a
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(q.patience()))
	said, err := readHello(bufio.NewReader(c))
	if err != nil {
		a.Err = fmt.Errorf("connected, but: %w", err)
		return a
	}
	a.From = c.RemoteAddr().(*net.TCPAddr).AddrPort()
	a.By, a.At, a.Saw, a.Size = said.host, said.local, said.peer, len(said.String())
	return a.judge(q)
}

func closedTCP(q Question, c *net.TCPConn, err error) (a Answer) {
	switch {
	case err == nil:
		c.Close()
		a.Err = fmt.Errorf("%s is not closed", q.To)
	case errors.Is(err, syscall.ECONNREFUSED):
		a.OK, a.From = true, q.To
	default:
		a.Err = err
	}
	return a
}

func readHello(r *bufio.Reader) (hello, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return hello{}, err
	}
	return parseHello(line)
}
